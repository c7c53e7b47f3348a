"""What stands in the sentinel's own file and what outside of it, and that nothing is lost between.

The memory is the configuration file, or the file that `sentinel state-file` names; includes, the
command line, and then the configuration file too, are outside.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sentinel.config import (
    SentinelConfig,
    World,
    parse_state_file,
    read_config,
    state_file_of,
)
from sentinel.core.durable import DurableMaster, DurableState
from sentinel.core.options import GlobalOptions, MasterOptions
from sentinel.state_lines import key_of, state_lines
from vedette.conf import COMMAND_LINE, parse_text, rewrite_text
from vedette.errors import ConfigError
from vedette.types import Address, RunId

MEMORY = "own.conf"
WORLD = World(lambda: RunId("f" * 40), lambda path: True)


def read(memory: str, outside: str = "", *, command_line: str = "") -> SentinelConfig:
    """Return what a memory and what was said outside of it make."""
    statements = [
        *parse_text(outside, "outside.conf"),
        *parse_text(memory, MEMORY),
        *parse_text(command_line, COMMAND_LINE),
    ]
    return read_config(statements, WORLD, memory=MEMORY)


def saved(state: DurableState, memory: str, outside: str = "") -> str:
    """Return the memory's text with `state` saved into it."""
    lines = state_lines(state, read(memory, outside).outside)
    return rewrite_text(memory, lines, key_of)


def with_options(state: DurableState, **changes: object) -> DurableState:
    """Return `state` after SENTINEL SET of its one master."""
    (master,) = state.masters
    options = replace(master.options, **changes)  # type: ignore[arg-type]  # a test's keywords
    return replace(state, masters=(replace(master, options=options),))


OUTSIDE = (
    "sentinel monitor m 10.0.0.1 6379 2\n"
    "sentinel down-after-milliseconds m 5000\n"
    "sentinel auth-pass m outside\n"
    "sentinel rename-command m CONFIG guess\n"
    "sentinel announce-ip 1.2.3.4\n"
)


def test_what_is_said_outside_is_not_repeated() -> None:
    """So a change there takes effect at the next start, and nothing is there twice."""
    text = saved(read("", OUTSIDE).durable, "", OUTSIDE)

    assert "down-after" not in text
    assert "auth-pass" not in text
    assert "announce-ip" not in text
    changed = OUTSIDE.replace("5000", "7000")
    assert read(text, changed).durable.masters[0].options.down_after_ms == 7000


def test_state_survives_beside_a_master_configured_outside() -> None:
    """Redis writes a second `monitor` into the file and refuses to start with it."""
    before = read("", OUTSIDE).durable
    switched = replace(
        before,
        current_epoch=3,
        masters=(
            replace(
                before.masters[0],
                address=Address("10.0.0.2", 6379),
                config_epoch=3,
                leader_epoch=3,
                replicas=(Address("10.0.0.1", 6379),),
            ),
        ),
    )

    again = read(saved(switched, "", OUTSIDE), OUTSIDE).durable

    assert again == switched


def test_option_taken_back_at_run_time_stays_taken_back() -> None:
    """SENTINEL SET m auth-pass "" must not be undone by a restart."""
    before = read("", OUTSIDE).durable
    cleared = with_options(before, auth_pass=None, renamed_commands={}, down_after_ms=30_000)

    again = read(saved(cleared, "", OUTSIDE), OUTSIDE).durable

    assert again == cleared


def test_forgotten_sentinel_stays_forgotten() -> None:
    """Although the configuration, written long ago, still names it."""
    peer = RunId("e" * 40)
    outside = OUTSIDE + f"sentinel known-sentinel m 10.0.0.9 26379 {peer}\n"
    before = read("", outside).durable
    gone = replace(before, masters=(replace(before.masters[0], sentinels=(), forgotten=(peer,)),))

    assert read(saved(gone, "", outside), outside).durable == gone


def test_removed_master_stays_removed_and_may_come_back() -> None:
    """SENTINEL REMOVE of a master that an include names; then SENTINEL MONITOR of that name."""
    before = read("", OUTSIDE).durable
    gone = replace(before, masters=())

    text = saved(gone, "", OUTSIDE)

    assert read(text, OUTSIDE).durable == gone
    anew = DurableMaster(name="m", address=Address("10.9.9.9", 1), options=MasterOptions(quorum=1))
    back = replace(before, masters=(anew,))
    text = saved(back, text, OUTSIDE)
    assert "removed" not in text
    assert read(text, OUTSIDE).durable == back


def test_command_line_overrules_options_but_not_who_is_master() -> None:
    """Containers are started with `--sentinel ...` for ever; a failover must outlast that."""
    options = "sentinel monitor m 10.0.0.1 6379 2\nsentinel announce-ip 5.6.7.8\n"
    memory = "sentinel monitor m 10.0.0.2 6379 2\nsentinel announce-ip 1.1.1.1\n"

    durable = read(memory, command_line=options).durable

    assert durable.masters[0].address == Address("10.0.0.2", 6379)
    assert durable.options.announce_ip == "5.6.7.8"


def test_option_may_stand_outside_of_the_master_it_is_about() -> None:
    """Passwords in an included file, the master in the main one."""
    durable = read("sentinel monitor m 10.0.0.1 1 1\n", "sentinel auth-pass m secret\n").durable

    assert durable.masters[0].options.auth_pass == b"secret"
    gone = replace(durable, masters=())
    text = saved(gone, "sentinel monitor m 10.0.0.1 1 1\n", "sentinel auth-pass m secret\n")
    assert read(text, "sentinel auth-pass m secret\n").durable == gone


@pytest.mark.parametrize("memory", ["", "sentinel monitor m 10.0.0.1 1 1\n"])
def test_option_of_a_master_nobody_monitors_is_refused(memory: str) -> None:
    """Wherever it stands."""
    with pytest.raises(ConfigError, match="No such master with specified name"):
        read(memory, "sentinel auth-pass other secret\n")


def test_one_file_may_not_say_a_thing_twice() -> None:
    """Two of them may; one that does was edited wrongly."""
    twice = 2 * "sentinel known-replica m 10.0.0.2 1\n"
    read("sentinel monitor m 10.0.0.1 1 1\n" + twice[: len(twice) // 2], OUTSIDE)

    with pytest.raises(ConfigError, match="Duplicate hostname and port for replica"):
        read("sentinel monitor m 10.0.0.1 1 1\n" + twice)


def test_state_file_is_found_and_takes_state_only() -> None:
    """The last one counts; a port has no place in it."""
    text = "sentinel state-file a\nsentinel state-file 'b c'\n"
    found = state_file_of(parse_text(text, "x"))

    assert found is not None
    assert found.values == ("state-file", "b c")
    assert state_file_of(parse_text("port 1\nsentinel myid x\n", "x")) is None
    for line in ("port 1", "sentinel state-file x"):
        with pytest.raises(ConfigError, match="holds nothing but the state"):
            parse_state_file(line, "state")


# --- whatever it is, it survives ------------------------------------------------------------------

_TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
_WORD = st.text(st.characters(exclude_categories=["Cs", "Cc", "Z"]), min_size=1, max_size=8)
_BYTES = st.binary(min_size=1, max_size=12)
_ID = st.text("0123456789abcdef", min_size=40, max_size=40).map(RunId)
_ADDRESS = st.builds(
    Address,
    st.sampled_from(["10.0.0.1", "10.0.0.2", "::1", "fe80::2", "db-1.example", "node"]),
    st.integers(1, 65535),
)
_EPOCH = st.integers(0, 2**63 - 1)
_COMMAND = st.sampled_from([b"CONFIG", b"SLAVEOF", b"EXEC"])


def _masters(names: list[str]) -> st.SearchStrategy[tuple[DurableMaster, ...]]:
    return st.tuples(*[_master(name) for name in names])


@st.composite
def _master(draw: st.DrawFn, name: str) -> DurableMaster:
    options = MasterOptions(
        quorum=draw(st.integers(1, 9)),
        down_after_ms=draw(st.integers(1, 2**31 - 1) | st.just(30_000)),
        failover_timeout_ms=draw(st.integers(1, 2**31 - 1) | st.just(180_000)),
        parallel_syncs=draw(st.integers(1, 5)),
        reboot_down_after_ms=draw(st.integers(0, 5)),
        refused_after_ms=draw(st.integers(0, 5)),
        notification_script=draw(st.none() | _TEXT),
        client_reconfig_script=draw(st.none() | _TEXT),
        auth_user=draw(st.none() | _BYTES),
        auth_pass=draw(st.none() | _BYTES),
        renamed_commands=draw(st.dictionaries(_COMMAND, _BYTES.map(lambda b: b"x" + b))),
    )
    peers = draw(st.dictionaries(_ID, _ADDRESS, max_size=3))
    leaving = draw(st.dictionaries(_ID, _ADDRESS, max_size=2))
    forgotten = draw(st.lists(_ID, unique=True, max_size=2))
    return DurableMaster(
        name=name,
        address=draw(_ADDRESS),
        options=options,
        config_epoch=draw(_EPOCH),
        leader_epoch=draw(_EPOCH),
        replicas=tuple(draw(st.lists(_ADDRESS, unique=True, max_size=3))),
        sentinels=tuple((run_id, at) for run_id, at in peers.items() if run_id not in leaving),
        leaving=tuple(leaving.items()),
        forgotten=tuple(run_id for run_id in forgotten if run_id not in {*peers, *leaving}),
    )


@st.composite
def states(draw: st.DrawFn) -> DurableState:
    """Any state that can come about."""
    names = draw(st.lists(_WORD, unique=True, max_size=3))
    return DurableState(
        my_id=draw(_ID),
        current_epoch=draw(_EPOCH),
        options=GlobalOptions(
            listening_port=26379,
            announce_port=draw(st.integers(0, 65535)),
            announce_ip=draw(st.none() | _WORD),
            sentinel_user=draw(st.none() | _BYTES),
            sentinel_pass=draw(st.none() | _BYTES),
            resolve_hostnames=True,
            announce_hostnames=draw(st.booleans()),
        ),
        masters=draw(_masters(names)),
    )


def in_order(state: DurableState) -> DurableState:
    """Return `state` sorted: lines that are replaced in place may change who comes first."""
    masters = [
        replace(
            master,
            replicas=tuple(sorted(master.replicas)),
            sentinels=tuple(sorted(master.sentinels)),
            leaving=tuple(sorted(master.leaving)),
            forgotten=tuple(sorted(master.forgotten)),
        )
        for master in state.masters
    ]
    return replace(state, masters=tuple(sorted(masters, key=lambda master: master.name)))


_STRANGERS = ["# a comment", "", "port 26379", "timeout 5", "  # indented", "bind 1::1"]


@settings(max_examples=150)
@given(states(), states(), st.lists(st.sampled_from(_STRANGERS), max_size=4))
def test_any_state_survives_writing_over_any_other(
    first: DurableState, second: DurableState, strangers: list[str]
) -> None:
    """Whatever legal value it holds, and however often it is written; strangers' lines stay."""
    kept = [*strangers, "# the last word"]
    text = saved(second, saved(first, "\n".join(kept)))
    once_more = saved(second, text)

    assert in_order(read(text).durable) == in_order(second)
    assert once_more == text
    for stranger in set(kept) - {""}:
        assert text.split("\n").count(stranger) == kept.count(stranger)


@settings(max_examples=150)
@given(states(), states())
def test_any_state_survives_beside_anything_said_outside(
    configured: DurableState, state: DurableState
) -> None:
    """With a state file the configuration is never written, and yet nothing is lost."""
    outside = saved(configured, "")
    options = replace(state.options, resolve_hostnames=True)
    state = replace(state, options=options)

    memory = saved(state, "", outside)

    again = read(memory, outside).durable
    known = {master.name: master for master in configured.masters}
    for master in state.masters:
        (found,) = (each for each in again.masters if each.name == master.name)
        extra = known[master.name].replicas if master.name in known else ()
        assert (found.address, found.options) == (master.address, master.options)
        assert (found.config_epoch, found.leader_epoch) == (
            master.config_epoch,
            master.leader_epoch,
        )
        assert set(found.replicas) == {*master.replicas, *extra}
        assert set(found.leaving) >= set(master.leaving)
        assert set(found.forgotten) >= set(master.forgotten)
    assert len(again.masters) == len(state.masters)
    assert (again.my_id, again.options) == (state.my_id, state.options)
    assert again.current_epoch == max(state.current_epoch, configured.current_epoch)
