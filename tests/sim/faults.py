"""A seed's bad day: which faults strike, when, and that all of them end.

Every fault is undone by `heal`, so that what follows is a healthy network with every process
running: then the sentinels must agree, however the day went.
"""

from __future__ import annotations

from dataclasses import dataclass

from sentinel.core.events import FailoverRequested, ForgetRequested, RequestId
from tests.sim.cluster import NAME, Cluster, Shape
from tests.sim.network import Life, Process
from tests.sim.sentinels import Bug, SimSentinel

#: How long faults go on, and how long agreement may take after the last has ended.
FAULTS_MS = 6_000
SETTLE_MS = 60_000
#: Agreement must last, and nobody may fail over, for this long after it.
CALM_MS = 1_500


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of one seed."""

    seed: int
    error: str | None
    digest: str
    steps: int
    failovers: int
    settled_ms: int
    trace: list[str]


def shape_of(seed: int) -> Shape:
    """Every seed has its own deployment."""
    sentinels = (3, 3, 5, 4)[seed % 4]
    return Shape(
        nodes=(3, 2, 4)[seed % 3],
        sentinels=sentinels,
        quorum=2 + (seed // 4) % 2 if sentinels > 3 else 2,
        down_after_ms=(1_000, 500, 1_500)[seed // 2 % 3],
        parallel_syncs=1 + seed % 2,
        delay_max_us=(2_000, 500, 20_000)[seed // 3 % 3],
    )


def run_seed(seed: int, bug: Bug | None = None) -> Outcome:
    """Run one seed to its end. Never raises for what the sentinels do wrong: see `error`."""
    cluster = Cluster(seed, shape_of(seed), bug)
    error: str | None = None
    settled_ms = 0
    try:
        cluster.start_up()
        Mischief(cluster).run()
        begun_ms = cluster.world.now_ms
        error = _settle(cluster)
        settled_ms = cluster.world.now_ms - begun_ms - CALM_MS
    except AssertionError as broken:
        error = f"{type(broken).__name__}: {broken}"
        cluster.world.note("judge", error)
    return Outcome(
        seed=seed,
        error=error,
        digest=cluster.world.digest,
        steps=cluster.judge.steps,
        failovers=cluster.judge.failovers,
        settled_ms=settled_ms,
        trace=cluster.world.trace,
    )


def _settle(cluster: Cluster) -> str | None:
    """Wait for an agreement that lasts; return what is wrong if there is none.

    The first may be broken once or twice by orders that a partition held back and that arrive now.
    """
    for _ in range(3):
        if not cluster.run_until_agreed(SETTLE_MS):
            return f"no agreement: {cluster.disagreement()}"
        failovers = cluster.judge.failovers
        cluster.run_for(CALM_MS)
        if cluster.judge.failovers != failovers:
            return "failed over without need"
        if cluster.disagreement() is None:
            return None
    return f"agreement did not last: {cluster.disagreement()}"


class Mischief:
    """Draws faults from the world's own generator."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.random = cluster.world.random
        self.requests = 1_000_000

    def run(self) -> None:
        """Let faults strike for `FAULTS_MS`, then undo all."""
        end_ms = self.cluster.world.now_ms + FAULTS_MS
        faults = [
            self.crash_master,
            self.pause_master,
            self.crash_any,
            self.crash_any,
            self.pause_any,
            self.cut_two_way,
            self.cut_one_way,
            self.isolate_sentinel,
            self.isolate_master,
            self.reset_connections,
            self.break_disk,
            self.crash_sentinel_in_election,
            self.crash_voter_between_candidates,
            self.slow_network,
            self.undo_some,
            self.undo_some,
            self.refuse_orders,
            self.order_failover,
            self.order_to_forget,
        ]
        while self.cluster.world.now_ms < end_ms:
            self.random.choice(faults)()
            self.cluster.run_for(self.random.choice((20, 100, 300, 1_000, 2_000)))
        self.heal()

    def heal(self) -> None:
        """Undo everything."""
        self.cluster.world.note("mischief", "heals")
        self.cluster.world.heal()
        self.cluster.world.delay_max_us = self.cluster.shape.delay_max_us
        for sentinel in self.cluster.sentinels:
            sentinel.is_disk_broken = False
        for node in self.cluster.nodes:
            node.refuses_orders = False
        for process in self._everybody():
            process.resume()
            process.restart()

    # -- faults ----------------------------------------------------------------------------------

    def crash_master(self) -> None:
        self.cluster.master.crash()

    def pause_master(self) -> None:
        self.cluster.master.pause()

    def crash_any(self) -> None:
        self.random.choice(self._everybody()).crash()

    def pause_any(self) -> None:
        self.random.choice(self._everybody()).pause()

    def cut_two_way(self) -> None:
        one, other = self.random.sample(self._everybody(), 2)
        self.cluster.world.note("mischief", f"cuts {one.label} and {other.label}")
        self.cluster.world.cut(one.address, other.address)
        self.cluster.world.cut(other.address, one.address)

    def cut_one_way(self) -> None:
        one, other = self.random.sample(self._everybody(), 2)
        self.cluster.world.note("mischief", f"cuts {one.label} to {other.label}")
        self.cluster.world.cut(one.address, other.address)

    def isolate_sentinel(self) -> None:
        self._isolate(self.random.choice(self.cluster.sentinels))

    def isolate_master(self) -> None:
        # With one sentinel on its side: the classical split.
        self._isolate(self.cluster.master, self.random.choice(self.cluster.sentinels))

    def reset_connections(self) -> None:
        process = self.random.choice(self._everybody())
        self.cluster.world.note("mischief", f"resets the connections of {process.label}")
        for connection in list(process.connections):
            connection.reset()

    def break_disk(self) -> None:
        sentinel = self.random.choice(self.cluster.sentinels)
        sentinel.is_disk_broken = True
        self.cluster.world.note("mischief", f"breaks the disk of {sentinel.label}")

    def crash_sentinel_in_election(self) -> None:
        """Kill the master, and soon after the election's time a sentinel, for a moment."""
        self.cluster.master.crash()
        down_after_ms = self.cluster.shape.down_after_ms
        self.cluster.run_for(down_after_ms - 5)
        sentinel = self.random.choice(self.cluster.sentinels)
        self.cluster.run_for(self.random.randint(0, 60))
        sentinel.crash()
        self.cluster.run_for(self.random.randint(0, 60))
        sentinel.restart()

    def crash_voter_between_candidates(self) -> None:
        """Restart a sentinel the moment it has spoken a vote, while others may still ask for it."""
        self.cluster.master.crash()
        self.slow_network()
        votes = len(self.cluster.judge.votes)
        for _ in range(3_000):
            self.cluster.run_for(1)
            if len(self.cluster.judge.votes) > votes:
                break
        for sentinel in self.cluster.sentinels:
            if any(voter == sentinel.run_id for voter, _, _ in self.cluster.judge.votes):
                sentinel.crash()
                sentinel.restart()

    def slow_network(self) -> None:
        delay_max_us = self.random.choice((30_000, 100_000, 200_000))
        self.cluster.world.note("mischief", f"messages take up to {delay_max_us} us")
        self.cluster.world.delay_max_us = delay_max_us

    def undo_some(self) -> None:
        process = self.random.choice(self._everybody())
        process.resume()
        process.restart()
        if isinstance(process, SimSentinel):
            process.is_disk_broken = False
        if self.random.random() < 0.5:
            self.cluster.world.heal()

    def refuse_orders(self) -> None:
        node = self.random.choice(self.cluster.nodes)
        node.refuses_orders = True
        self.cluster.world.note("mischief", f"{node.label} refuses orders")

    def order_failover(self) -> None:
        if self.random.random() < 0.7:
            return
        sentinel = self.random.choice(self.cluster.sentinels)
        if sentinel.life is Life.RUNNING:
            self.requests += 1
            self.cluster.world.note("mischief", f"orders {sentinel.label} to fail over")
            sentinel.step(FailoverRequested(sentinel.clock_ms(), RequestId(self.requests), NAME))

    def order_to_forget(self) -> None:
        """Take one or two sentinels away, and have another forget them, now or when they are down.

        Some of them live on behind a partition, and all come back in the end.
        """
        sentinels = self.cluster.sentinels
        gone = self.random.sample(sentinels, self.random.choice((1, 1, 2)))
        for sentinel in gone:
            if self.random.random() < 0.5:
                self._isolate(sentinel)
            else:
                sentinel.crash()
        if self.random.random() < 0.8:
            self.cluster.run_for(self.cluster.shape.down_after_ms + self.random.randint(50, 600))
        asker = self.random.choice([entry for entry in sentinels if entry not in gone])
        if asker.life is not Life.RUNNING:
            return
        view = self.cluster.view(asker)
        known = [
            entry.run_id
            for entry in gone
            if entry.run_id in view.peers or entry.run_id in view.leaving
        ]
        if known:
            self.requests += 1
            labels = ", ".join(entry.label for entry in gone)
            self.cluster.world.note("mischief", f"orders {asker.label} to forget {labels}")
            request = RequestId(self.requests)
            asker.step(ForgetRequested(asker.clock_ms(), request, NAME, sentinels=tuple(known)))

    # -- helpers ---------------------------------------------------------------------------------

    def _isolate(self, *side: Process) -> None:
        labels = ", ".join(process.label for process in side)
        self.cluster.world.note("mischief", f"isolates {labels}")
        for process in self._everybody():
            if process in side:
                continue
            for member in side:
                self.cluster.world.cut(process.address, member.address)
                self.cluster.world.cut(member.address, process.address)

    def _everybody(self) -> list[Process]:
        return [*self.cluster.nodes, *self.cluster.sentinels]
