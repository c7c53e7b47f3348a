"""The local address of outgoing connections: one that can reach the target, of its own kind."""

from __future__ import annotations

import pytest

from sentinel.sources import Sources


@pytest.mark.parametrize(
    ("bound", "target", "source"),
    [
        (("*", "-::*"), "10.0.0.9", None),
        (("10.0.0.1",), "10.0.0.9", "10.0.0.1"),
        (("10.0.0.1", "10.1.0.1"), "10.1.0.9", "10.0.0.1"),
        # redis-sentinel binds to the loopback address here, and reaches nobody.
        (("127.0.0.1", "10.0.0.1"), "10.0.0.9", "10.0.0.1"),
        (("127.0.0.1", "-::1"), "10.0.0.9", None),
        (("127.0.0.1", "10.0.0.1"), "127.0.0.1", "127.0.0.1"),
        (("10.0.0.1",), "127.0.0.1", None),
        # One address of each kind: each to its own.
        (("10.0.0.1", "2001:db8::1"), "2001:db8::9", "2001:db8::1"),
        (("2001:db8::1", "10.0.0.1"), "10.0.0.9", "10.0.0.1"),
        (("2001:db8::1",), "10.0.0.9", None),
        (("fe80::1", "2001:db8::1"), "2001:db8::9", "2001:db8::1"),
        (("0.0.0.0", "10.0.0.1"), "10.0.0.9", "10.0.0.1"),
        (("sentinel.example",), "10.0.0.9", None),
    ],
)
def test_first_bound_address_that_can_reach_the_target_is_the_source(
    bound: tuple[str, ...], target: str, source: str | None
) -> None:
    """The fellows see where hello comes from, and firewalls do too."""
    assert Sources(bound=bound).choose(target) == source


def test_ordered_source_is_for_all_targets_of_its_kind() -> None:
    """`bind-source-addr` is an order, not a guess."""
    ordered = Sources("10.9.9.9", ("10.0.0.1", "2001:db8::1"))

    assert ordered.choose("127.0.0.1") == "10.9.9.9"
    assert ordered.choose("10.0.0.9") == "10.9.9.9"
    assert ordered.choose("2001:db8::9") is None
