"""What a client is told at its start."""

from __future__ import annotations

import pytest

from ha_client.core.options import Option, parse_url
from vedette.types import Address


@pytest.mark.parametrize(
    ("url", "sentinels", "options"),
    [
        ("redis+sentinel://a/mymaster", [("a", 26379)], {}),
        ("redis+sentinel://a:1,b:2/mymaster/3", [("a", 1), ("b", 2)], {"database": 3}),
        ("redis+sentinel://[::1]:26380,10.0.0.1/mymaster", [("::1", 26380), ("10.0.0.1", 26379)],
         {}),
        ("redis+sentinel://:p%2Fw@a/mymaster", [("a", 26379)], {"password": "p/w"}),
        ("redis+sentinel://u:p@a/mymaster?sentinel_password=q&reply_timeout_s=0.5&max_pending=9"
         "&repeat_last_wins=yes", [("a", 26379)],
         {"username": "u", "password": "p", "sentinel_password": "q", "reply_timeout_s": 0.5,
          "max_pending": 9, "repeat_last_wins": True}),
    ],
)  # fmt: skip
def test_what_a_url_says(
    url: str, sentinels: list[tuple[str, int]], options: dict[str, Option]
) -> None:
    place = parse_url(url)

    assert place.master_name == "mymaster"
    assert list(place.sentinels) == [Address(*sentinel) for sentinel in sentinels]
    assert place.options == options
    assert not place.uses_tls


def test_tls_is_said_by_the_scheme() -> None:
    place = parse_url("rediss+sentinel://a/my%20master?sentinel_tls=false")

    assert place.uses_tls
    assert (place.master_name, place.options) == ("my master", {"sentinel_tls": False})


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("redis://secret@a/mymaster", "begins with redis.sentinel"),
        ("redis+sentinel://secret@a", "names no master"),
        ("redis+sentinel:///mymaster", "no sentinel's host and port"),
        ("redis+sentinel://:secret@a:x/mymaster", "'a:x' is no sentinel's host and port"),
        ("redis+sentinel://:secret@a:0/mymaster", "'a:0' is no sentinel's host and port"),
        ("redis+sentinel://a,/mymaster", "'' is no sentinel's host and port"),
        ("redis+sentinel://:secret@a/mymaster/x", "database is 'x'"),
        ("redis+sentinel://:secret@a/mymaster?tls_context=1", "option 'tls_context'"),
        ("redis+sentinel://a/mymaster?protocol=three", "protocol is 'three'"),
        ("redis+sentinel://a/mymaster?repeat_last_wins=perhaps", "has to be true or false"),
    ],
)
def test_what_is_no_url_is_refused_without_its_password(url: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as raised:
        parse_url(url)

    assert "secret" not in str(raised.value)
