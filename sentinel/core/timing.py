"""How long things take, in milliseconds: Redis' constants, and ours where timers were pure waste.

Owns numbers only. "Redis" marks those that fellow sentinels, nodes or operators can observe and may
rely on; the others are local to this machine.
"""

from __future__ import annotations

from typing import Final

#: Redis: INFO of healthy nodes, and of those that matter while a failover is near.
INFO_PERIOD_MS: Final = 10_000
INFO_PERIOD_URGENT_MS: Final = 1_000
#: Redis: the hello message, repeated; every change of configuration also sends one at once.
HELLO_PERIOD_MS: Final = 2_000
#: How long a new configuration is kept from redis-sentinels that hold a silent node down within
#: less than `STRANGERS_HASTE_MS`. They reconnect at most once a second, and count their down-after
#: for the new master from the switch: told right after an attempt at the dead master, they would
#: hold the new one down before they have connected to it, and fail over once more.
STRANGERS_HOLD_MS: Final = 400
STRANGERS_HASTE_MS: Final = 1_500
#: Redis: how long a fellow's "down" counts, and how often a settled opinion is refreshed.
OPINION_LIFETIME_MS: Final = 5_000
ASK_PERIOD_MS: Final = 1_000
#: While SDOWN but short of ODOWN, and while collecting votes, fellows are asked this often.
ASK_PERIOD_URGENT_MS: Final = 100
#: Two sentinels that ask each other must not do so for ever.
ASK_BACK_GAP_MS: Final = 20
#: Redis: a connection this old whose PING is overdue by half of down-after is replaced.
LINK_HALF_DEAD_AGE_MS: Final = 15_000
#: Redis: a hello channel this silent is replaced (our own hello comes back over it).
PUBSUB_SILENCE_MS: Final = 6_000
#: Redis: no more requests than this wait on one link (times its users).
MAX_PENDING: Final = 100

#: Redis: wait before a replica that turned master behind our back is demoted.
CONVERT_WAIT_MS: Final = 8_000
#: Redis: a master is only trusted as target of repairs if its INFO is this fresh.
SANE_INFO_AGE_MS: Final = 20_000
#: Between two repairs of the same node, and two rounds of asking fellows to confirm them.
REPAIR_GAP_MS: Final = 2_000
CONFIRM_GAP_MS: Final = 500
#: Before a straggler of a failover is repaired, and between the turns of the sentinels to do so.
FIX_WAIT_MS: Final = 4_000
FIX_TURN_MS: Final = 1_000

#: One election; Redis allows 10 s because it counts votes by timer.
ELECTION_TIMEOUT_MS: Final = 2_000
#: Between the candidacies of sentinels that reach ODOWN at the same moment, by rank.
RANK_DELAY_MS: Final = 30
#: A lost election is repeated after a random time in this range, doubled with each loss.
RETRY_MIN_MS: Final = 20
RETRY_MAX_MS: Final = 150
RETRY_DOUBLINGS_MAX: Final = 4
#: How long we wait for the leader that we voted for. A redis-sentinel needs 1.3 s from election to
#: announcement; a leader whose link is dead is not waited for.
LEADER_PATIENCE_MS: Final = 5_000
LEADER_PATIENCE_SPREAD_MS: Final = 1_000
LEADER_SILENCE_MS: Final = 700
#: With no replica fit to be promoted a sentinel does not stand for election at first.
NO_REPLICA_WAIT_MS: Final = 10_000
#: How often something awaited is looked at when no event can announce it.
RECHECK_MS: Final = 200
#: After a failover ended without promotion.
ABORT_PAUSE_MS: Final = 1_000

#: The leader waits this long at most for INFO that is already on its way.
FRESH_INFO_WAIT_MS: Final = 100
#: INFO while a promotion or a reconfiguration is awaited.
PROMOTION_POLL_MS: Final = 100
RECONF_POLL_MS: Final = 200
#: A replica that has not become master after this is given up for the next one.
PROMOTION_PATIENCE_MS: Final = 5_000
PROMOTION_LINK_PATIENCE_MS: Final = 1_000
#: SLAVEOF NO ONE is repeated this often if it seems lost.
PROMOTION_RESEND_MS: Final = 500
REFUSED_FOR_MS: Final = 30_000
#: Redis: a replica that does not confirm SLAVEOF in this time is passed over.
RECONF_TIMEOUT_MS: Final = 10_000

#: A failed save is tried again after this.
SAVE_RETRY_MS: Final = 1_000

#: Being called this much later than asked for means that this process was not running. Shorter
#: delays are a busy machine's; to forgive them too would put off every verdict there.
STALL_MS: Final = 150
#: After a stall this long a failover that has not promoted anybody is given up.
STALL_ABORT_MS: Final = 1_000
#: Redis: a stall this long is worth an event. Redis then stands still for 30 s; fresh probes tell
#: in a round trip.
TILT_TRIGGER_MS: Final = 2_000
TILT_PERIOD_MS: Final = 1_000

#: Reconnecting: at once, then at a pace that slows with the number of failures.
RECONNECT_FAST_MS: Final = 50
RECONNECT_FAST_ATTEMPTS: Final = 40
RECONNECT_MEDIUM_MS: Final = 250
RECONNECT_MEDIUM_ATTEMPTS: Final = 100
RECONNECT_SLOW_MS: Final = 1_000

#: Beyond an attempt's own time-out, before it is given up as never to be reported.
CONNECT_GUARD_MS: Final = 5_000

PING_PERIOD_MAX_MS: Final = 1_000
PING_PERIOD_MIN_MS: Final = 50


def master_ping_period_ms(down_after_ms: int) -> int:
    """How often a master is pinged: ten times in down-after, so that sentinels agree closely.

    The first unanswered PING of the slowest of a quorum decides; Redis pings once in down-after and
    loses up to as much.
    """
    return min(max(down_after_ms // 10, PING_PERIOD_MIN_MS), PING_PERIOD_MAX_MS)


def ping_period_ms(down_after_ms: int) -> int:
    """How often replicas and fellow sentinels are pinged."""
    return min(max(down_after_ms // 2, PING_PERIOD_MIN_MS), PING_PERIOD_MAX_MS)


def connect_timeout_ms(down_after_ms: int) -> int:
    """How long one attempt to connect may take."""
    return min(max(down_after_ms // 2, 200), 2_000)


def reconnect_delay_ms(failed_attempts: int) -> int:
    """How long to wait before the next attempt; the first follows a loss at once."""
    if failed_attempts == 0:
        return 0
    if failed_attempts < RECONNECT_FAST_ATTEMPTS:
        return RECONNECT_FAST_MS
    if failed_attempts < RECONNECT_MEDIUM_ATTEMPTS:
        return RECONNECT_MEDIUM_MS
    return RECONNECT_SLOW_MS
