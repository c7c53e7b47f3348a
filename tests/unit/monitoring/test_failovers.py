"""Failovers counted and timed by the events one sentinel announces."""

from __future__ import annotations

import pytest

from monitoring.failovers import FailoverLog
from monitoring.families import Families

ME, PEER = "a" * 40, "b" * 40
MASTER = "master m 10.0.0.1 6379"
REPLICA = "slave 10.0.0.2:6379 10.0.0.2 6379 @ m 10.0.0.1 6379"
SWITCH = "m 10.0.0.1 6379 10.0.0.2 6379"

#: What the leader of a failover announces, with the time of each.
LEADER_EVENTS = [
    (10.0, "+sdown", MASTER),
    (10.1, "+odown", f"{MASTER} #quorum 2/2"),
    (10.15, "+new-epoch", "1"),
    (10.2, "+try-failover", MASTER),
    (10.2, "+vote-for-leader", f"{ME} 1"),
    (10.4, "+elected-leader", MASTER),
    (10.4, "+failover-state-select-slave", MASTER),
    (10.5, "+selected-slave", REPLICA),
    (10.75, "+promoted-slave", REPLICA),
    (10.75, "+failover-state-reconf-slaves", MASTER),
    (10.8, "+switch-master", SWITCH),
    (10.8, "+slave", "slave 10.0.0.1:6379 10.0.0.1 6379 @ m 10.0.0.2 6379"),
    (11.8, "+failover-end", "master m 10.0.0.2 6379"),
]


def told(
    events: list[tuple[float, str, str]],
    *,
    suspected_s: float | None = 9.0,
    cause: str | None = None,
    choice: str | None = None,
    defeat: str | None = None,
) -> dict[str, float]:
    """Return the samples right after `events`; buckets and what is 0 are left out."""
    log = FailoverLog(ME)
    for now_s, event, payload in events:
        since_s = suspected_s if (event, payload) == ("+sdown", MASTER) else None
        log.on_event(
            event,
            payload,
            now_s=now_s,
            unix_s=1000 + now_s,
            suspected_s=since_s,
            cause=cause if event == "+try-failover" else None,
            choice=choice if event == "+promoted-slave" else None,
            defeat=defeat if event == "-failover-abort-not-elected" else None,
        )
    families = Families()
    log.add_to(families, events[-1][0])
    return {
        f"{sample.name}{{{','.join(sample.labels.values())}}}": pytest.approx(sample.value)
        for metric in families.metrics()
        for sample in metric.samples
        if sample.value and not sample.name.endswith("_bucket")
    }


def phases_of(samples: dict[str, float]) -> dict[str, float]:
    """Return the seconds of each phase."""
    prefix = "vedette_failover_phase_seconds_sum{m,"
    return {
        name.removeprefix(prefix).rstrip("}"): value
        for name, value in samples.items()
        if name.startswith(prefix)
    }


def test_the_leader_times_every_phase() -> None:
    """Where the time of a failover went is what makes it shorter the next time."""
    assert phases_of(told(LEADER_EVENTS)) == {
        "detect": 1.0,
        "agree": 0.1,
        "elect": 0.3,
        "select": 0.1,
        "promote": 0.25,
        "announce": 0.05,
        "reconf": 1.0,
    }


def test_the_leader_counts_the_failover_and_its_duration() -> None:
    """The duration counts from the first unanswered ping, which is what clients feel."""
    samples = told(LEADER_EVENTS)

    assert samples["vedette_failovers_total{m,odown,completed}"] == 1
    assert samples["vedette_master_switches_total{m,leader}"] == 1
    assert samples["vedette_failover_duration_seconds_sum{m,leader}"] == 1.8
    assert samples["vedette_last_switch_timestamp_seconds{m}"] == 1010.8
    assert samples["vedette_votes_cast_total{self}"] == 1
    assert sum(name.startswith("vedette_failovers") for name in samples) == 1


def test_an_observer_counts_the_switch_and_no_failover_of_its_own() -> None:
    """The sum over all sentinels of failovers is the number of failovers."""
    samples = told(
        [
            (10.0, "+sdown", MASTER),
            (10.2, "+vote-for-leader", f"{PEER} 1"),
            (10.8, "+config-update-from", "sentinel x 10.0.0.9 26379 @ m 10.0.0.1 6379"),
            (10.8, "+switch-master", SWITCH),
            (11.8, "+sdown", "slave 10.0.0.1:6379 10.0.0.1 6379 @ m 10.0.0.2 6379"),
        ]
    )

    assert samples["vedette_master_switches_total{m,observer}"] == 1
    assert samples["vedette_failover_duration_seconds_sum{m,observer}"] == 1.8
    assert samples["vedette_votes_cast_total{peer}"] == 1
    assert phases_of(samples) == {"detect": 1.0}
    assert not any(name.startswith("vedette_failovers") for name in samples)


def test_a_switch_out_of_the_blue_has_no_duration() -> None:
    """A sentinel that never missed the master knows not how long it was missed."""
    samples = told([(5.0, "+switch-master", SWITCH)])

    assert samples["vedette_master_switches_total{m,observer}"] == 1
    assert not any("duration" in name for name in samples)


def test_an_ordered_failover_is_told_apart_and_timed_from_the_order() -> None:
    """A planned change of masters is not to wake anybody."""
    samples = told(
        [
            (10.0, "+try-failover", MASTER),
            (10.1, "+elected-leader", MASTER),
            (10.1, "+selected-slave", REPLICA),
            (10.4, "+promoted-slave", REPLICA),
            (10.4, "+switch-master", SWITCH),
            (10.9, "+failover-end", "master m 10.0.0.2 6379"),
        ]
    )

    assert samples["vedette_failovers_total{m,manual,completed}"] == 1
    assert samples["vedette_failover_duration_seconds_sum{m,leader}"] == 0.4
    assert phases_of(samples)["elect"] == 0.1


@pytest.mark.parametrize(
    ("event", "result"),
    [
        ("-failover-abort-not-elected", "not_elected"),
        ("-failover-abort-no-good-slave", "no_good_replica"),
        ("-failover-abort-slave-timeout", "replica_timeout"),
        ("+failover-end-for-timeout", "timed_out"),
    ],
)
def test_an_attempt_is_counted_by_how_it_ended(event: str, result: str) -> None:
    """Each way to fail asks for another remedy."""
    events = [
        (10.0, "+sdown", MASTER),
        (10.1, "+odown", MASTER),
        (10.2, "+try-failover", MASTER),
        (12.2, event, MASTER),
    ]

    samples = told(events)

    assert samples[f"vedette_failovers_total{{m,odown,{result}}}"] == 1
    assert sum(name.startswith("vedette_failovers") for name in samples) == 1


def test_a_second_attempt_counts_towards_the_same_outage() -> None:
    """Clients wait from the first unanswered ping on, however often sentinels try."""
    samples = told(
        [
            *LEADER_EVENTS[:4],
            (12.0, "-failover-abort-not-elected", MASTER),
            *((now_s + 5, event, payload) for now_s, event, payload in LEADER_EVENTS[3:]),
        ]
    )

    assert samples["vedette_failovers_total{m,odown,not_elected}"] == 1
    assert samples["vedette_failovers_total{m,odown,completed}"] == 1
    assert samples["vedette_failover_duration_seconds_sum{m,leader}"] == 6.8
    assert phases_of(samples)["elect"] == 5.3


def test_another_sentinel_may_be_the_faster_one() -> None:
    """A candidate that learns of somebody else's switch has neither led nor failed."""
    samples = told([*LEADER_EVENTS[:4], (10.8, "+switch-master", SWITCH)])

    assert samples["vedette_failovers_total{m,odown,superseded}"] == 1
    assert samples["vedette_master_switches_total{m,observer}"] == 1


def test_a_master_that_answers_again_ends_the_episode() -> None:
    """The next outage is timed on its own."""
    samples = told(
        [
            (10.0, "+sdown", MASTER),
            (10.1, "+odown", MASTER),
            (10.3, "-odown", MASTER),
            (10.3, "-sdown", MASTER),
            (99.0, "+switch-master", SWITCH),
        ]
    )

    assert not any("duration" in name for name in samples)


def test_a_replica_that_is_passed_over_does_not_count_for_the_next() -> None:
    """`promote` is the time of the promotion that worked."""
    events = [
        *LEADER_EVENTS[:8],
        (13.0, "+selected-slave", REPLICA),
        (13.25, "+promoted-slave", REPLICA),
    ]

    phases = phases_of(told(events))

    assert (phases["select"], phases["promote"]) == (0.1, 0.25)


def test_a_master_no_longer_watched_is_forgotten() -> None:
    """Series of names that come and go must not pile up."""
    samples = told([*LEADER_EVENTS, (20.0, "-monitor", "master m 10.0.0.2 6379")])

    assert samples == {"vedette_votes_cast_total{self}": 1}


def test_elections_are_counted_by_outcome() -> None:
    """An order is no election, though its leader is called elected."""
    lost = [
        (1.0, "+odown", f"{MASTER} #quorum 2/2"),
        (1.1, "+try-failover", MASTER),
        (1.2, "-failover-abort-not-elected", MASTER),
    ]
    order = [(30.0, "+try-failover", MASTER), (30.0, "+elected-leader", MASTER)]

    samples = told([*lost, *LEADER_EVENTS, *order])

    elections = {name: value for name, value in samples.items() if "elections" in name}
    assert elections == {
        "vedette_elections_total{m,lost}": 1,
        "vedette_elections_total{m,won}": 1,
    }


@pytest.mark.parametrize("defeat", ["split", "timeout", "unsaved", "stalled", "needless"])
def test_elections_are_counted_by_why_they_were_not_won(defeat: str) -> None:
    """Sentinels that split their votes need another cure than a disk that is full."""
    events = [(1.1, "+try-failover", MASTER), (1.2, "-failover-abort-not-elected", MASTER)]

    samples = told(events, cause="odown", defeat=defeat)

    assert samples[f"vedette_elections_total{{m,{defeat}}}"] == 1


def test_election_is_lost_to_whoever_has_led_another_failover_meanwhile() -> None:
    """Each candidacy is counted once, and what is given up after the election is none."""
    overtaken = [(1.1, "+try-failover", MASTER), (1.2, "+switch-master", SWITCH)]
    given_up = [
        (2.1, "+try-failover", MASTER),
        (2.2, "+elected-leader", MASTER),
        (2.3, "-failover-abort-not-elected", MASTER),
    ]

    samples = told([*overtaken, *given_up], cause="odown")

    elections = {name: value for name, value in samples.items() if "elections" in name}
    assert elections == {
        "vedette_elections_total{m,lost}": 1,
        "vedette_elections_total{m,won}": 1,
    }


def test_the_old_masters_return_is_timed_from_the_switch() -> None:
    """By whoever sees it; once, though a replica's link may go down and up again."""
    back = "slave 10.0.0.1:6379 10.0.0.1 6379 @ m 10.0.0.2 6379"
    returns = [(70.8, "+rejoined", back), (90.0, "+rejoined", back)]

    led, followed = (
        told([*LEADER_EVENTS, *returns]),
        told([(10.8, "+switch-master", SWITCH), *returns]),
    )

    assert phases_of(led)["rejoin"] == 60.0
    assert phases_of(followed) == {"rejoin": 60.0}


def test_downs_are_counted_by_what_is_down() -> None:
    """A rising count with nothing down for long is a flap."""
    peer = f"sentinel {PEER} 10.0.0.9 26379 @ m 10.0.0.1 6379"

    samples = told([(1.0, "+sdown", REPLICA), (2.0, "+sdown", REPLICA), (3.0, "+sdown", peer)])

    downs = {name: value for name, value in samples.items() if "sdown" in name}
    assert downs == {"vedette_sdown_total{m,replica}": 2, "vedette_sdown_total{m,sentinel}": 1}


def test_counters_of_a_watched_master_begin_at_zero() -> None:
    """A counter that first appears as 1 shows no rise, and alerts on it stay silent."""
    log = FailoverLog(ME)
    log.on_event("+monitor", f"{MASTER} quorum 2", now_s=0, unix_s=0)
    families = Families()
    log.add_to(families, 1)

    counts = {metric.name: len(metric.samples) for metric in families.metrics()}

    assert counts == {
        "vedette_votes_cast": 2,
        "vedette_failovers": 30,
        "vedette_promotions": 7,
        "vedette_instance_down_seconds": 3,
        "vedette_estimated_lost_bytes": 1,
        "vedette_master_switches": 2,
        "vedette_elections": 7,
        "vedette_sdown": 3,
    }


def test_estimated_losses_add_up() -> None:
    """Rare and dear: each should raise the counter."""
    about = f"slave 10.0.0.2:6379 10.0.0.2 6379 @ {' '.join(MASTER.split()[1:])}"
    events = [(1.0, "+estimated-loss", f"{about} bytes {lost}") for lost in (40, 2)]

    assert told(events)["vedette_estimated_lost_bytes_total{m}"] == 42


@pytest.mark.parametrize(
    ("cause", "trigger"),
    [
        ("odown", "odown"),
        ("ordered", "manual"),
        ("coordinated", "coordinated"),
        ("empty-restart", "empty_restart"),
        ("conflict", "conflict"),
    ],
)
def test_a_failover_is_counted_by_its_cause(cause: str, trigger: str) -> None:
    """The sentinel knows it, and has a word of its own for each."""
    samples = told(LEADER_EVENTS, cause=cause)

    counted = [name for name in samples if name.startswith("vedette_failovers_total")]
    assert counted == [f"vedette_failovers_total{{m,{trigger},completed}}"]


def test_promotions_are_counted_by_what_decided() -> None:
    """Whether priorities or offsets choose masters is what somebody who sets them wants to know."""
    samples = told(LEADER_EVENTS, choice="offset")

    promoted = {name: value for name, value in samples.items() if "promotions" in name}
    assert promoted == {"vedette_promotions_total{m,offset}": 1}


def test_rounds_of_elections_are_counted_for_each_failover() -> None:
    """One that was lost before counts as well."""
    lost = [
        (10.2, "+try-failover", MASTER),
        (10.3, "-failover-abort-not-elected", MASTER),
    ]
    samples = told([*LEADER_EVENTS[:2], *lost, *LEADER_EVENTS[2:]])

    assert samples["vedette_election_rounds_count{m}"] == 1
    assert samples["vedette_election_rounds_sum{m}"] == 2


def test_time_held_down_adds_up_while_it_lasts_and_ends_with_a_switch() -> None:
    """Instances of a kind add up; a switch makes a new start for the nodes, not for sentinels."""
    about_replica = "slave 10.0.0.2:6379 10.0.0.2 6379 @ m 10.0.0.1 6379"
    about_peer = "sentinel abc 10.0.1.1 26379 @ m 10.0.0.1 6379"
    events = [
        (1.0, "+sdown", about_replica),
        (3.5, "-sdown", about_replica),
        (4.0, "+sdown", about_replica),
        (5.0, "+sdown", about_peer),
        (6.0, "+sdown", MASTER),
        (7.0, "+switch-master", SWITCH),
        (9.0, "+slave", about_replica),
    ]

    down = {name: value for name, value in told(events).items() if "down_seconds" in name}
    assert down == {
        "vedette_instance_down_seconds_total{m,replica}": 2.5 + 3.0,
        "vedette_instance_down_seconds_total{m,sentinel}": 4.0,
        "vedette_instance_down_seconds_total{m,master}": 1.0,
    }
