"""A seed's bad day as data: how large the deployment is, and which faults strike when.

A plan is drawn from its seed before anything runs, so that a fault can be taken out without
changing the others; it can be written to a file and read back (`tests/corpus/sim/`).
"""

from __future__ import annotations

import dataclasses
import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

#: How long faults go on, and how long agreement may take after the last has ended.
FAULTS_MS: Final = 6_000

#: What a trap can wait for: each state of a failover is announced when it is entered.
TRAP_LABELS: Final = (
    "any",
    "any",
    "Persist",
    "Answer",
    "Connect",
    "SENTINEL",
    "MULTI",
    "PUBLISH",
    "+sdown",
    "+odown",
    "+new-epoch",
    "+vote-for-leader",
    "+try-failover",
    "+elected-leader",
    "+failover-state-select-slave",
    "+failover-state-send-slaveof-noone",
    "+failover-state-wait-promotion",
    "+promoted-slave",
    "+failover-state-reconf-slaves",
    "+slave-reconf-sent",
    "+slave-reconf-done",
    "+switch-master",
    "+config-update-from",
)


#: What a liar says; see `faults.Mischief.lie`.
LIES: Final = ("far", "far-config", "ahead", "stale", "rival", "garbage", "candidate", "answers")

#: What SENTINEL DEBUG may have been told, in ms.
PERIODS: Final[dict[str, dict[str, int]]] = {
    "hasty": {
        "info_period_ms": 500,
        "ping_period_ms": 100,
        "ask_period_ms": 100,
        "publish_period_ms": 300,
        "tilt_trigger_ms": 200,
        "tilt_period_ms": 1_000,
        "slave_reconf_timeout_ms": 500,
        "min_link_reconnect_period_ms": 500,
        "election_timeout_ms": 300,
    },
    "lazy": {
        "info_period_ms": 60_000,
        "ping_period_ms": 4_000,
        "ask_period_ms": 5_000,
        "publish_period_ms": 10_000,
        "tilt_trigger_ms": 30_000,
        "election_timeout_ms": 10_000,
    },
    "tilting": {"tilt_trigger_ms": 50, "tilt_period_ms": 5_000},
}


@dataclass(frozen=True, kw_only=True)
class Shape:
    """How large, how patient."""

    nodes: int = 3
    sentinels: int = 3
    #: How many of the sentinels are redis-sentinel's, as modelled in `stock.py`.
    stock: int = 0
    quorum: int = 2
    down_after_ms: int = 1_000
    failover_timeout_ms: int = 10_000
    parallel_syncs: int = 1
    refused_after_ms: int = 0
    #: The master is given by its host's name.
    has_names: bool = False
    delay_max_us: int = 2_000
    #: How fast each sentinel's clock runs.
    rates: tuple[float, ...] = ()
    #: How often each node copies from its master.
    lags_us: tuple[int, ...] = ()
    #: How often the client writes; 0 for never.
    write_gap_ms: int = 200


@dataclass(frozen=True)
class Fault:
    """One thing that goes wrong, named as the method of `faults.Mischief` that does it.

    Processes are named `n0` (the first node), `s2` (our third sentinel), `r0` (the first of Redis'
    sentinels) or `master` (whoever most sentinels take for it at that time). What lasts `for_ms`
    ends by itself.
    """

    at_ms: int
    kind: str
    arguments: tuple[str | int, ...] = ()
    for_ms: int = 0

    def __str__(self) -> str:
        words = " ".join(str(argument) for argument in self.arguments)
        lasting = f" for {self.for_ms} ms" if self.for_ms else ""
        return f"at {self.at_ms} ms: {self.kind} {words}{lasting}"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """All that a run depends on."""

    seed: int
    shape: Shape
    faults: tuple[Fault, ...] = ()

    def to_json(self, **more: str) -> str:
        """Return the text of a case in the corpus."""
        record = {**more, **dataclasses.asdict(self)}
        return json.dumps(record, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Plan:
        """Read a case; what else it holds is for people."""
        record: dict[str, Any] = json.loads(text)
        # Any: the type of each field.
        shape: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in record["shape"].items()
        }
        faults = tuple(
            Fault(fault["at_ms"], fault["kind"], tuple(fault["arguments"]), fault["for_ms"])
            for fault in record["faults"]
        )
        return cls(seed=record["seed"], shape=Shape(**shape), faults=faults)


def plan_of(seed: int) -> Plan:
    """The plan that a seed stands for."""
    drawing = _Drawing(seed)
    return Plan(seed=seed, shape=drawing.shape, faults=drawing.faults())


class _Drawing:
    """Draws one plan, from a generator of its own."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed ^ 0x5EED)
        self.shape = self._shape()
        shape = self.shape
        self.nodes = [f"n{index}" for index in range(shape.nodes)]
        #: Ours; Redis' are only in `everybody`, for what can happen to any process.
        self.sentinels = [f"s{index}" for index in range(shape.sentinels - shape.stock)]
        stock = [f"r{index}" for index in range(shape.stock)]
        self.everybody = [*self.nodes, *self.sentinels, *stock]

    def _shape(self) -> Shape:
        choose = self.random.choice
        sentinels = choose((3, 3, 3, 3, 3, 3, 3, 4, 4, 5, 5, 5, 6, 7))
        nodes = choose((2, 2, 3, 3, 3, 3, 3, 3, 4, 4, 5, 6, 7))
        drifts = self.random.random() < 0.3
        return Shape(
            nodes=nodes,
            sentinels=sentinels,
            stock=min(choose((0, 0, 0, 0, 0, 1, 1, 2, 3)), sentinels - 1),
            quorum=self.random.randint(2, sentinels // 2 + 1),
            down_after_ms=choose((300, 500, 500, 500, 1_000, 1_500)),
            parallel_syncs=choose((1, 1, 2)),
            refused_after_ms=choose((0, 0, 0, 100)),
            has_names=choose((False, False, False, True)),
            delay_max_us=choose((500, 2_000, 2_000, 20_000)),
            rates=tuple(
                1 + self.random.uniform(-0.01, 0.01) if drifts else 1.0 for _ in range(sentinels)
            ),
            lags_us=tuple(choose((50_000, 50_000, 100_000, 150_000)) for _ in range(nodes)),
        )

    def faults(self) -> tuple[Fault, ...]:
        """Some kinds of fault for this seed, each more or less often."""
        # The master dies in every seed; else most of the day would be about nothing.
        weights: dict[Callable[[int], list[Fault]], float] = {
            self._kill_master: 6.0,
            self._trap: 2.0,
            self._election_trouble: 1.0,
        }
        if self.shape.has_names:
            weights[self._confuse_names] = 1.0
        kinds = [kind for kind in self._kinds() if kind not in weights]
        for kind in self.random.sample(kinds, self.random.randint(2, 5)):
            weights[kind] = self.random.choice((0.5, 1.0, 2.0))
        faults: list[Fault] = []
        at_ms = self.random.randint(0, 500)
        while at_ms < FAULTS_MS:
            (draw,) = self.random.choices(list(weights), list(weights.values()))
            faults += draw(at_ms)
            at_ms += self.random.choice((20, 100, 300, 600, 800, 1_200))
        return tuple(faults)

    def _kinds(self) -> list[Callable[[int], list[Fault]]]:
        return [
            self._kill_master,
            self._trap,
            self._crash,
            self._lose_power,
            self._pause,
            self._pause_master,
            self._cut,
            self._cut_one_way,
            self._isolate_sentinel,
            self._isolate_master,
            self._reset,
            self._silence,
            self._lose_packets,
            self._slow_network,
            self._slow_link,
            self._break_disk,
            self._slow_disk,
            self._step_clock,
            self._refuse_orders,
            self._refuse_all_orders,
            self._order_failover,
            self._change_priority,
            self._election_trouble,
            self._reject,
            self._lie,
            self._change_periods,
            self._set_option,
            self._watch_another,
            self._forget_replica,
            *self._shrinkings(),
        ]

    def _shrinkings(self) -> list[Callable[[int], list[Fault]]]:
        """Orders after which a sentinel counts fewer fellows: by agreement, or by its own hand.

        One that meets its fellows anew takes them for all there are, as Redis' does. So it must not
        have been told of any that the others have forgotten, and only a quorum that is a majority
        keeps it from acting on too few.
        """
        if len(self.sentinels) < 2 or self.random.random() < 0.5:
            return [self._order_to_forget] if len(self.sentinels) > 2 else []
        if self.shape.quorum <= self.shape.sentinels // 2:
            return []
        return [self._watch_anew, self._order_reset]

    # -- one method for each kind ----------------------------------------------------------------

    def _time(self, *choices: int) -> int:
        return self.random.choice(choices or (50, 300, 1_000, 2_500, 4_000))

    def _any(self) -> str:
        return self.random.choice(self.everybody)

    def _sentinel(self) -> str:
        return self.random.choice(self.sentinels)

    def _two(self) -> list[str]:
        return self.random.sample(self.everybody, 2)

    def _kill_master(self, at_ms: int) -> list[Fault]:
        kind = self.random.choice(("crash", "crash", "lose_power"))
        return [Fault(at_ms, kind, ("master",), self._time(300, 2_000, 3_000, 5_000))]

    def _trap(self, at_ms: int) -> list[Fault]:
        label = self.random.choice(TRAP_LABELS)
        skip = self.random.randint(0, 30) if label == "any" else self.random.choice((0, 0, 1, 3))
        restart_ms = self._time(1, 20, 200, 1_000)
        return [Fault(at_ms, "trap", (self._sentinel(), label, skip, restart_ms))]

    def _crash(self, at_ms: int) -> list[Fault]:
        return [Fault(at_ms, "crash", (self._any(),), self._time())]

    def _lose_power(self, at_ms: int) -> list[Fault]:
        return [Fault(at_ms, "lose_power", (self._any(),), self._time())]

    def _pause(self, at_ms: int) -> list[Fault]:
        return [Fault(at_ms, "pause", (self._any(),), self._time())]

    def _pause_master(self, at_ms: int) -> list[Fault]:
        return [Fault(at_ms, "pause", ("master",), self._time())]

    def _cut(self, at_ms: int) -> list[Fault]:
        return [Fault(at_ms, "cut", tuple(self._two()), self._time())]

    def _cut_one_way(self, at_ms: int) -> list[Fault]:
        return [Fault(at_ms, "cut_one_way", tuple(self._two()), self._time())]

    def _isolate_sentinel(self, at_ms: int) -> list[Fault]:
        return [Fault(at_ms, "isolate", (self._sentinel(),), self._time())]

    def _isolate_master(self, at_ms: int) -> list[Fault]:
        # With one sentinel on its side: the classical split.
        return [Fault(at_ms, "isolate", ("master", self._sentinel()), self._time())]

    def _reset(self, at_ms: int) -> list[Fault]:
        return [Fault(at_ms, "reset", (self._any(),))]

    def _silence(self, at_ms: int) -> list[Fault]:
        return [Fault(at_ms, "silence", (self._any(),))]

    def _lose_packets(self, at_ms: int) -> list[Fault]:
        return [Fault(at_ms, "lose_packets", (self.random.choice((1, 5, 20)),), self._time())]

    def _slow_network(self, at_ms: int) -> list[Fault]:
        delay_max_us = self.random.choice((30_000, 100_000, 200_000))
        return [Fault(at_ms, "slow_network", (delay_max_us,), self._time())]

    def _slow_link(self, at_ms: int) -> list[Fault]:
        delay_us = self.random.choice((10_000, 100_000, 600_000))
        return [Fault(at_ms, "slow_link", (*self._two(), delay_us), self._time())]

    def _break_disk(self, at_ms: int) -> list[Fault]:
        return [Fault(at_ms, "break_disk", (self._sentinel(),), self._time())]

    def _slow_disk(self, at_ms: int) -> list[Fault]:
        slow_ms = self.random.choice((50, 300, 2_000))
        return [Fault(at_ms, "slow_disk", (self._sentinel(), slow_ms), self._time())]

    def _step_clock(self, at_ms: int) -> list[Fault]:
        ahead_ms = self.random.choice((100, 200, 1_000, 5_000, 60_000))
        return [Fault(at_ms, "step_clock", (self._sentinel(), ahead_ms))]

    def _confuse_names(self, at_ms: int) -> list[Fault]:
        kind = self.random.choice(("lose_names", "slow_names", "misdirect_names"))
        return [Fault(at_ms, kind, (), self._time())]

    def _refuse_orders(self, at_ms: int) -> list[Fault]:
        return [Fault(at_ms, "refuse_orders", (self.random.choice(self.nodes),), self._time())]

    def _refuse_all_orders(self, at_ms: int) -> list[Fault]:
        """The master dies while nobody lets itself be promoted: leaders have to try again."""
        for_ms = self.shape.down_after_ms + self._time(50, 300, 1_000)
        refusals = [Fault(at_ms, "refuse_orders", (name,), for_ms) for name in self.nodes]
        return [*refusals, Fault(at_ms, "crash", ("master",), 4_000)]

    def _order_failover(self, at_ms: int) -> list[Fault]:
        """Plainly or coordinated: which of the two is the time's choice, so that no draw is."""
        options = ("coordinated",) if at_ms % 2 else ()
        return [Fault(at_ms, "order_failover", (self._sentinel(), *options))]

    def _change_priority(self, at_ms: int) -> list[Fault]:
        node = self.random.choice(self.nodes)
        return [Fault(at_ms, "change_priority", (node, self.random.choice((0, 1, 50, 100))))]

    def _reject(self, at_ms: int) -> list[Fault]:
        """A firewall rejects new connections, and breaks the old."""
        one, other = self._sentinel(), self.random.choice((*self.everybody, "master", "master"))
        return [Fault(at_ms, "reject", (one, other), self._time())] if one != other else []

    def _order_to_forget(self, at_ms: int) -> list[Fault]:
        """Take one or two sentinels away, and have another forget them, now or when down."""
        gone = self.random.sample(self.sentinels, self.random.choice((1, 1, 2)))
        asker = self.random.choice([name for name in self.sentinels if name not in gone])
        for_ms = self._time(1_000, 2_500, 4_000)
        faults = [
            Fault(at_ms, self.random.choice(("isolate", "crash")), (name,), for_ms) for name in gone
        ]
        if self.random.random() < 0.8:
            at_ms += self.shape.down_after_ms + self.random.randint(50, 600)
        return [*faults, Fault(at_ms, "order_to_forget", (asker, *gone))]

    def _forget_replica(self, at_ms: int) -> list[Fault]:
        """It comes back with the next INFO of the master, if that lists it."""
        return [Fault(at_ms, "forget_replica", (self._sentinel(), self.random.choice(self.nodes)))]

    def _lie(self, at_ms: int) -> list[Fault]:
        """Somebody says to a sentinel, in a fellow's name, what no fellow would say."""
        listener = self._sentinel()
        lie = self.random.choice(LIES)
        if lie == "answers":
            return [Fault(at_ms, "lie_in_answers", (listener,), self._time())]
        node = self.random.choice(self.nodes)
        return [Fault(at_ms, "lie", (listener, lie, node, self.random.randint(1, 6)))]

    def _change_periods(self, at_ms: int) -> list[Fault]:
        preset = self.random.choice(sorted(PERIODS))
        return [Fault(at_ms, "change_periods", (self._sentinel(), preset), self._time())]

    def _set_option(self, at_ms: int) -> list[Fault]:
        option, value = self.random.choice(
            (
                ("quorum", self.random.randint(1, self.shape.sentinels)),
                ("down_after_ms", self.random.choice((200, 400, 3_000))),
                ("failover_timeout_ms", self.random.choice((1_000, 60_000))),
                ("parallel_syncs", self.random.choice((1, 3))),
                ("refused_after_ms", self.random.choice((0, 100, 300))),
            )
        )
        return [Fault(at_ms, "set_option", (self._sentinel(), option, value), self._time())]

    def _watch_another(self, at_ms: int) -> list[Fault]:
        """A second deployment, whose master dies: elections that share links and epochs."""
        return [Fault(at_ms, "watch_another", (self.random.choice((700, 1_500)),), 4_000)]

    def _watch_anew(self, at_ms: int) -> list[Fault]:
        """REMOVE, and MONITOR a while later."""
        return [Fault(at_ms, "watch_anew", (self._sentinel(),), self._time(1, 50, 1_000))]

    def _order_reset(self, at_ms: int) -> list[Fault]:
        return [Fault(at_ms, "order_reset", (self._sentinel(),))]

    def _election_trouble(self, at_ms: int) -> list[Fault]:
        """The master dies, and sentinels that have just voted are restarted at once."""
        slow = Fault(at_ms, "slow_network", (self.random.choice((30_000, 100_000)),), 3_000)
        traps = [
            Fault(at_ms, "trap", (name, self.random.choice(_OF_ELECTIONS), 0, 1))
            for name in self.random.sample(self.sentinels, min(len(self.sentinels), 2))
        ]
        return [slow, *traps, Fault(at_ms, "crash", ("master",), 4_000)]


_OF_ELECTIONS: Final = ("+vote-for-leader", "Answer", "+try-failover", "+elected-leader", "Persist")
