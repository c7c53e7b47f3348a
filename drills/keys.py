"""The keys that a drill writes: what they are called, how many there may be, how long they live.

In a laboratory nothing else is written, and it goes with its data. Among somebody's data the keys
of a drill have a prefix that no other drill has had, an upper bound, and an expiry for the case
that they cannot be removed at the end. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """The names of one drill's keys."""

    prefix: str = "drill:"
    #: Most keys that the writers together may set; after them they only increment. None: no bound.
    set_limit: int | None = None
    #: After which they go by themselves; None: they stay.
    ttl_s: int | None = None

    @property
    def counter(self) -> str:
        """What all writers increment."""
        return f"{self.prefix}counter"

    @property
    def beat(self) -> str:
        """What is read to measure how old an answer is."""
        return f"{self.prefix}beat"

    @property
    def sets(self) -> str:
        """What the names of all keys begin with that writers set once each."""
        return f"{self.prefix}set:"

    def set_key(self, writer: int, number: int) -> str:
        """Return the key of a writer's operation of that number."""
        return f"{self.sets}{writer}:{number}"

    def probe(self, node: str) -> str:
        """Return the key that a node is asked to take writes of."""
        return f"{self.prefix}probe:{node}"

    def sets_per_writer(self, writer_count: int) -> int | None:
        """Return how many keys each of so many writers may set; None: no bound."""
        return None if self.set_limit is None else self.set_limit // writer_count


#: What is written into laboratories.
LAB_KEYS = Keys()
