"""PSYNC2 identity: which histories a server may serve after each change of its role."""

from __future__ import annotations

from server.replication.identity import NO_REPLID, Identity

A, B, C = b"a" * 40, b"b" * 40, b"c" * 40


def test_a_fresh_server_has_one_history() -> None:
    """INFO shows zeros and -1 where there is no second one."""
    identity = Identity(A)

    assert (identity.replid2, identity.second_repl_offset) == (NO_REPLID, -1)


def test_a_promoted_replica_serves_its_former_masters_history_up_to_where_it_stood() -> None:
    """Former fellow replicas ask for the byte after what they have: the bound is one more."""
    assert Identity(A).become_master(B, 50) == Identity(B, A, 51)


def test_a_second_promotion_forgets_the_first() -> None:
    """There are two histories, never three."""
    assert Identity(B, A, 51).become_master(C, 90) == Identity(C, B, 91)


def test_a_replica_whose_master_was_renamed_keeps_the_old_name_as_its_second() -> None:
    """Its own replicas still ask for the old one."""
    assert Identity(A).follow_renamed(B, 70) == Identity(B, A, 71)


def test_a_master_of_the_same_name_changes_nothing() -> None:
    """A plain reconnection leaves the second history in force."""
    identity = Identity(A, C, 10)

    assert identity.follow_renamed(A, 70) is identity


def test_a_full_synchronisation_leaves_only_the_masters_history() -> None:
    """The data set was replaced: what was shared before is gone."""
    assert Identity(A, B, 10).adopt(C) == Identity(C)


def test_a_history_nobody_has_seen_has_no_second() -> None:
    """Offsets stood still while data changed, so no old offset may be taken up."""
    assert Identity(A, B, 10).change_id(C) == Identity(C)


def test_a_restarted_master_serves_the_history_of_its_snapshot() -> None:
    """Replicas from before the restart can go on if nothing was written between."""
    assert Identity(A).restored(B, 400) == Identity(A, B, 401)


def test_a_history_without_a_name_is_nobodys_second() -> None:
    """A master that is not Redis may call its own by zeros, which here mean that there is none."""
    nameless = Identity(NO_REPLID)

    assert nameless.become_master(A, 50) == Identity(A)
    assert nameless.follow_renamed(A, 50) == Identity(A)
    assert Identity(A, B, 10).restored(NO_REPLID, 400) == Identity(A)
