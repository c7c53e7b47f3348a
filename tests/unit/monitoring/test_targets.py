"""Targets of the exporter: what names one, and which credentials go where."""

from __future__ import annotations

import pytest

from monitoring.__main__ import BadListenAddress, parse_listen
from monitoring.targets import BadTarget, Target, parse_target, with_credentials
from vedette.types import Address


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10.0.0.1:6380", Target(Address("10.0.0.1", 6380))),
        ("redis://10.0.0.1", Target(Address("10.0.0.1", 6379))),
        ("redis://[::1]:26379/", Target(Address("::1", 26379))),
        ("redis://:p%40ss@h:1", Target(Address("h", 1), None, "p@ss")),
        ("redis://user:pass@h:1", Target(Address("h", 1), "user", "pass")),
        ("redis://user@h:1", Target(Address("h", 1))),
        ("foo", Target(Address("foo", 6379))),
        ("my_stack_redis-1.internal.:1", Target(Address("my_stack_redis-1.internal.", 1))),
        ("rediss://:p@h:1", Target(Address("h", 1), None, "p", uses_tls=True)),
    ],
)
def test_a_target_is_an_address_and_credentials(text: str, expected: Target) -> None:
    """The spellings that redis_exporter takes; a user without a password logs in nowhere."""
    assert parse_target(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "redis://",
            "rediss://",
            "unix:///x.sock",
            "h:port",
            "h:99999",
            "h/0",
            "redis://[::1",
        ),
        *("h:0", "a b", "a..b", "-h", "h,i:1", "h;1", "1.2.3.4,5", "x" * 64, ".", "h\u00a0"),
    ],
)
def test_what_is_no_target_is_refused(text: str) -> None:
    """Also what needs a Unix socket: a wrong answer would be worse than none."""
    with pytest.raises(BadTarget):
        parse_target(text)


def test_a_password_is_not_shown() -> None:
    """Targets are logged, and errors quoted."""
    target = parse_target("redis://user:secret@h:1")

    assert target.key == "redis://h:1"
    assert "secret" not in repr(target)
    with pytest.raises(BadTarget) as caught:
        parse_target("redis://user:secret@h:port")
    assert "secret" not in str(caught.value)


def test_credentials_come_from_the_configuration_only() -> None:
    """What a request names is looked up; what it brings along is not used, and given to nobody."""
    configured = {"redis://h:1": Target(Address("h", 1), "user", "secret")}

    assert with_credentials(parse_target("h:1"), configured).password == "secret"
    assert with_credentials(parse_target("redis://:other@h:1"), configured).password == "secret"
    assert with_credentials(parse_target("redis://:other@h:2"), configured).password is None
    # The same address over TLS is another target: a password is not sent where it was not meant.
    over_tls = with_credentials(parse_target("rediss://h:1"), configured)
    assert over_tls == Target(Address("h", 1), uses_tls=True)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("127.0.0.1:9121", Address("127.0.0.1", 9121)),
        (":9121", Address("0.0.0.0", 9121)),
        ("[::1]:0", Address("::1", 0)),
    ],
)
def test_listen_takes_host_and_port(text: str, expected: Address) -> None:
    """A lone port means every address, as in most exporters."""
    assert parse_listen(text) == expected


@pytest.mark.parametrize("text", ["", "9121", "h:", "h:x", "h:70000"])
def test_what_is_no_listening_address_is_refused(text: str) -> None:
    """At the start, with a message, and not by a traceback."""
    with pytest.raises(BadListenAddress):
        parse_listen(text)
