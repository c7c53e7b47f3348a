"""The poller: who is ready is served in turns that leave room for others."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
import trio

from sentinel.runtime.poller import TURN_S, Poller

SOCKETS = 6


class Bench:
    """A poller, and sockets that are ready all the time; to serve one takes half a turn."""

    def __init__(self) -> None:
        self.now_s = 0.0
        #: Who was served, and `None` for the end of a batch.
        self.log: list[int | None] = []
        #: How much of it there was when a batch began.
        self.begun: list[int] = []
        self.poller = Poller(
            lambda: self.begun.append(len(self.log)),
            lambda: self.log.append(None),
            lambda: self.now_s,
        )
        self.pairs = [socket.socketpair() for _ in range(SOCKETS)]
        for number, (ours, theirs) in enumerate(self.pairs):
            theirs.send(b"x")
            self.poller.add(ours, lambda mask, number=number: self.serve(number))

    def serve(self, number: int) -> None:
        """One that leaves what it was sent unread, and so is ready again at once."""
        self.log.append(number)
        self.now_s += TURN_S / 2

    def close(self) -> None:
        for pair in self.pairs:
            for each in pair:
                each.close()
        self.poller.close()


@pytest.fixture
def bench() -> Iterator[Bench]:
    """A bench, and its end."""
    made = Bench()
    yield made
    made.close()


async def run_turns(bench: Bench, count: int) -> None:
    """Run the poller until it has ended so many batches."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(bench.poller.run)
        while bench.log.count(None) < count:
            await trio.lowlevel.checkpoint()
        nursery.cancel_scope.cancel()


async def test_a_turn_ends_in_good_time_and_other_tasks_run(bench: Bench) -> None:
    """What the first led to is sent before the last is read; and nobody is served twice before."""
    await run_turns(bench, 3)

    turns = [bench.log[start : start + 3] for start in (0, 3, 6)]
    assert [turn[2] for turn in turns] == [None] * 3
    assert sorted(each for turn in turns for each in turn[:2] if each is not None) == list(
        range(SOCKETS)
    )


def test_all_that_are_ready_are_served_in_one_go_when_that_is_asked(bench: Bench) -> None:
    """Before the machine may conclude that somebody did not answer."""
    bench.poller.serve_ready()

    assert sorted(each for each in bench.log if each is not None) == list(range(SOCKETS))
    assert bench.log.count(None) == 1


async def test_who_is_removed_while_it_waits_for_its_turn_is_not_served(bench: Bench) -> None:
    """Nor is another that has its descriptor by then."""
    await run_turns(bench, 1)
    waiting = next(number for number in range(SOCKETS) if number not in bench.log)
    ours, _ = bench.pairs[waiting]
    bench.poller.remove(ours)
    bench.poller.add(ours, lambda mask: bench.log.append(99))

    await run_turns(bench, 3)

    ends = [index for index, each in enumerate(bench.log) if each is None]
    first_round = bench.log[: ends[2]]  # as many turns as all six would take
    assert waiting not in first_round
    assert 99 not in first_round


async def test_clients_have_their_turn_before_each_batch(bench: Bench) -> None:
    """A fellow's news are not to wait for what is ready on links."""
    bench.poller.serve_ready()
    await run_turns(bench, 3)

    ends = [place + 1 for place, served in enumerate(bench.log) if served is None]
    assert bench.begun[:3] == [0, *ends[:2]]
