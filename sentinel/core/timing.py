"""How long things take, in milliseconds: Redis' constants, and ours where timers were pure waste.

Owns numbers only. Those that an operator may change (SENTINEL DEBUG) are fields of `Periods`, which
is part of the state; the constants are ours alone. "Redis" marks those that fellow sentinels, nodes
or operators can observe and may rely on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

#: Redis: what a master starts with.
DEFAULT_DOWN_AFTER_MS: Final = 30_000
DEFAULT_FAILOVER_TIMEOUT_MS: Final = 180_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Periods:
    """What SENTINEL DEBUG shows and changes, in its order; all above 0. Forgotten by a restart."""

    #: INFO of healthy nodes.
    info_period_ms: int = 10_000
    #: At most this long between two PINGs; `down-after` shortens it.
    ping_period_ms: int = 1_000
    #: How often a settled opinion is refreshed.
    ask_period_ms: int = 1_000
    #: The hello message, repeated; every change of configuration also sends one at once.
    publish_period_ms: int = 2_000
    #: What SENTINEL MONITOR gives a new master.
    default_down_after_ms: int = DEFAULT_DOWN_AFTER_MS
    default_failover_timeout_ms: int = DEFAULT_FAILOVER_TIMEOUT_MS
    #: A stall this long is worth an event.
    tilt_trigger_ms: int = 2_000
    #: Redis then stands still for 30 s; fresh probes tell in a round trip.
    tilt_period_ms: int = 100
    #: A replica that does not confirm SLAVEOF in this time is passed over.
    slave_reconf_timeout_ms: int = 10_000
    #: A connection this old is replaced if its PING is overdue by half of down-after, or if it is
    #: a hello channel and silent.
    min_link_reconnect_period_ms: int = 15_000
    #: One election; Redis allows 10 s because it counts votes by timer.
    election_timeout_ms: int = 2_000
    #: The runtime's: how long a script may run, and waits before its first repetition.
    script_max_runtime_ms: int = 60_000
    script_retry_delay_ms: int = 30_000

    @property
    def info_period_urgent_ms(self) -> int:
        """INFO of the nodes that matter while a failover is near, or of which little is known."""
        return min(self.info_period_ms, INFO_PERIOD_URGENT_MS)

    @property
    def opinion_lifetime_ms(self) -> int:
        """How long a fellow's "down" counts."""
        return 5 * self.ask_period_ms

    @property
    def pubsub_silence_ms(self) -> int:
        """A hello channel this silent is replaced (our own hello comes back over it)."""
        return 3 * self.publish_period_ms

    @property
    def convert_wait_ms(self) -> int:
        """Wait before a replica that turned master behind our back is demoted."""
        return 4 * self.publish_period_ms

    @property
    def sane_info_age_ms(self) -> int:
        """A master is only trusted as target of repairs if its INFO is this fresh."""
        return 2 * self.info_period_ms

    @property
    def candidate_info_age_ms(self) -> int:
        """A replica is only promoted if its INFO is this fresh; fresher, if the master is down."""
        return 3 * self.info_period_ms

    @property
    def candidate_pong_age_ms(self) -> int:
        """A replica is only promoted if it answered a PING this short a while ago."""
        return 5 * self.ping_period_ms


DEFAULT_PERIODS: Final = Periods()

INFO_PERIOD_URGENT_MS: Final = 1_000
#: How long a new configuration is kept from redis-sentinels that hold a silent node down within
#: less than `STRANGERS_HASTE_MS`. They reconnect at most once a second, and count their down-after
#: for the new master from the switch: told right after an attempt at the dead master, they would
#: hold the new one down before they have connected to it, and fail over once more.
STRANGERS_HOLD_MS: Final = 400
STRANGERS_HASTE_MS: Final = 1_500
#: Before a configuration that a fellow told us is told to the others.
RELAY_MS: Final = 50
#: While SDOWN but short of ODOWN, and while collecting votes, fellows are asked this often.
ASK_PERIOD_URGENT_MS: Final = 100
#: Redis: no more requests than this wait on one link (times its users).
MAX_PENDING: Final = 100

#: Between two repairs of the same node, and two rounds of asking fellows to confirm them.
REPAIR_GAP_MS: Final = 2_000
CONFIRM_GAP_MS: Final = 500
#: Before a straggler of a failover is repaired, and between the turns of the sentinels to do so.
FIX_WAIT_MS: Final = 4_000
FIX_TURN_MS: Final = 1_000

#: How often a restarted master that is loading is asked whether it is done.
JUDGE_AGAIN_MS: Final = 50

#: Before an election to end a conflict: the news that ends it may be on its way; then, for whose
#: master has fewer sentinels behind it; and between two looks at it.
CONFLICT_WAIT_MS: Final = 300
CONFLICT_DEFER_MS: Final = 1_000
CONFLICT_RETRY_MS: Final = 250

#: Between the candidacies of sentinels that reach ODOWN at the same moment, by rank. Those that
#: stand together none the less vote for who is the first to have saved.
RANK_DELAY_MS: Final = 15
#: With other masters down at the same time, so much longer for each, up to a limit: their elections
#: share the disks and the processors, and whoever stands too soon only adds to the work.
CROWD_MS: Final = 10
CROWD_MAX_MS: Final = 500
#: What each better one in rank is allowed that has not said yet that it holds the master down.
RANK_COURTESY_MS: Final = 3
#: A lost election is repeated after a random time in this range, doubled once it was lost twice.
RETRY_MIN_MS: Final = 20
RETRY_MAX_MS: Final = 140
RETRY_DOUBLINGS_MAX: Final = 1
#: How long we wait for the leader that we voted for. A redis-sentinel needs 1.3 s from election to
#: announcement, one of our kind a few round trips.
LEADER_PATIENCE_MS: Final = 5_000
LEADER_PATIENCE_KIN_MS: Final = 2_000
LEADER_PATIENCE_SPREAD_MS: Final = 1_000
#: A leader is lost that was silent, or could not be connected to, for this long. So that silence
#: shows it is pinged this often meanwhile.
LEADER_SILENCE_MS: Final = 200
LEADER_CUT_MS: Final = 100
LEADER_PING_PERIOD_MS: Final = 50
#: How often a redis-sentinel that leads is asked whether it still does.
LEADER_ASK_PERIOD_MS: Final = 200
#: One that is not elected by then, after it has asked for votes a second time, is not waited for.
LEADER_ELECTION_MS: Final = 1_500
#: With no replica fit to be promoted a sentinel does not stand for election at first.
NO_REPLICA_WAIT_MS: Final = 10_000
#: How often something awaited is looked at when no event can announce it.
RECHECK_MS: Final = 200
#: After a failover ended without promotion.
ABORT_PAUSE_MS: Final = 250
#: After our own vote could not be saved: a disk does not recover as fast.
UNSAVED_PAUSE_MS: Final = 1_000

#: The leader waits this long at most for INFO that is already on its way.
FRESH_INFO_WAIT_MS: Final = 100
#: INFO while a promotion or a reconfiguration is awaited.
PROMOTION_POLL_MS: Final = 100
RECONF_POLL_MS: Final = 200
#: A replica that has answered nothing for so long, or cannot be connected to, does not work.
SILENCE_MS: Final = 250
#: One that has not become master after this is given up for the next one.
PROMOTION_PATIENCE_MS: Final = 1_000
#: SLAVEOF NO ONE is repeated this often if it seems lost.
PROMOTION_RESEND_MS: Final = 250
#: A replica that refused its promotion is set aside for the first, one that missed it for the last.
REFUSED_FOR_MS: Final = 30_000
MISSED_FOR_MS: Final = 2_000

#: For so long a coordinated failover stands for election anew where votes were split or lost.
#: Redis: an order whose election takes longer is given up.
ORDER_PATIENCE_MS: Final = 10_000

#: The longest that a coordinated failover may keep writers waiting, and the shortest worth trying.
#: Replicas of Redis acknowledge once a second, and it looks at that ten times a second.
HANDOVER_LIMIT_MS: Final = 5_000
HANDOVER_MIN_MS: Final = 100
#: How often both nodes are looked at meanwhile, how long after its limit the master may take to
#: show that it stays, and how long the promoted node may be kept from being announced until the
#: old master has sent the writers away that wait there.
HANDOVER_POLL_MS: Final = 20
HANDOVER_GRACE_MS: Final = 300
HANDOVER_END_WAIT_MS: Final = 200
#: A master that says it is the replica of one of its own replicas is not held for one longer.
SUCCESSION_WAIT_MS: Final = 1_000

#: How long the fellows have to agree to SENTINEL FORGET.
FORGET_TIMEOUT_MS: Final = 3_000

#: Who was found is saved together with who is found next, after this and a millisecond a master.
FOUND_SAVE_DELAY_MS: Final = 50
#: A failed save is tried again after this.
SAVE_RETRY_MS: Final = 1_000

#: Being called this much later than asked for means that this process was not running. Shorter
#: delays are a busy machine's; to forgive them too would put off every verdict there.
STALL_MS: Final = 150
#: Where half of down-after is less than that, so much is a stall; but never less than this.
STALL_MIN_MS: Final = 40
#: What a fresh probe has to be answered, before a stall's suspect may be called down.
FRESH_PROBE_MS: Final = 100
#: After a stall this long a failover that has not promoted anybody is given up.
STALL_ABORT_MS: Final = 1_000

#: Reconnecting: at once, then at a pace that slows with the number of failures.
RECONNECT_FAST_MS: Final = 50
RECONNECT_FAST_ATTEMPTS: Final = 40
RECONNECT_MEDIUM_MS: Final = 250
RECONNECT_MEDIUM_ATTEMPTS: Final = 100
RECONNECT_SLOW_MS: Final = 500
#: While many are out of reach at once, so long for each: 100 attempts a second in all.
RECONNECT_SHARE_MS: Final = 10

#: How often host names are looked up again, and how soon at the earliest.
RESOLVE_PERIOD_MS: Final = 5_000
RESOLVE_GAP_MS: Final = 1_000

#: Beyond an attempt's own time-out, before it is given up as never to be reported.
CONNECT_GUARD_MS: Final = 5_000

#: For so long the longest suspicion that came to nothing is remembered, and so long again.
SUSPICION_WINDOW_MS: Final = 300_000

#: This many refusals in a row, at least, make `refused-after-milliseconds`.
REFUSALS_MIN: Final = 3

PING_PERIOD_MIN_MS: Final = 50
MASTER_PING_PERIOD_MIN_MS: Final = 10


def master_ping_period_ms(down_after_ms: int, longest_ms: int) -> int:
    """How often a master is pinged: ten times in down-after, so that sentinels agree closely.

    The last answer that the second of a quorum got decides; Redis pings once in down-after, counts
    from the next PING and loses up to as much.
    """
    return min(max(down_after_ms // 10, MASTER_PING_PERIOD_MIN_MS), longest_ms)


def ping_period_ms(down_after_ms: int, longest_ms: int) -> int:
    """How often replicas and fellow sentinels are pinged."""
    return min(max(down_after_ms // 2, PING_PERIOD_MIN_MS), longest_ms)


def connect_timeout_ms(down_after_ms: int) -> int:
    """How long one attempt to connect may take."""
    return min(max(down_after_ms // 2, 200), 1_000)


def reconnect_delay_ms(failed_attempts: int) -> int:
    """How long to wait before the next attempt; the first follows a loss at once."""
    if failed_attempts == 0:
        return 0
    if failed_attempts < RECONNECT_FAST_ATTEMPTS:
        return RECONNECT_FAST_MS
    if failed_attempts < RECONNECT_MEDIUM_ATTEMPTS:
        return RECONNECT_MEDIUM_MS
    return RECONNECT_SLOW_MS
