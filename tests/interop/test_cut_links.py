"""Links cut at any byte: a short form of `make fuzz`."""

from __future__ import annotations

import pytest

from tests.interop.links import PAIRS, run_round
from tests.support.redis import RedisServer, require_redis

pytestmark = pytest.mark.timeout(120)


@pytest.mark.parametrize("pair", range(len(PAIRS)))
def test_a_link_may_break_at_any_byte(pair: int) -> None:
    """In handshake, snapshot and stream; nothing is lost and nothing done twice."""
    if RedisServer in PAIRS[pair]:
        require_redis("redis-server")
    # A replica of Redis tries once a second, so it is cut less often.
    cut_count = 4 if PAIRS[pair][1] is RedisServer else 10

    assert run_round(pair, 1, cut_count) > 0
