"""How random examples are drawn and shrunk, for single sequences and for conversations alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

ExampleT = TypeVar("ExampleT")


def check_examples(
    strategy: st.SearchStrategy[ExampleT],
    check: Callable[[ExampleT], None],
    *,
    examples: int,
    seed_number: int,
) -> None:
    """Have `check` look at so many examples; what it raises has the shortest one in its notes.

    The seed decides which they are: nothing is kept from run to run.
    """

    @settings(
        deadline=None,
        max_examples=examples,
        database=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
        print_blob=False,
    )
    @seed(seed_number)
    @given(strategy)
    def run(example: ExampleT) -> None:
        check(example)

    run()
