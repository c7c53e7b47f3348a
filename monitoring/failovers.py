"""Failovers as one sentinel announces them: counted, timed, and split into phases.

Theory of operation. A sentinel says what it does in events (`+sdown`, `+try-failover`, ...), with
Redis' names and payloads; `FailoverLog` is told each of them with the time. For every master it
keeps the moments of the events that begin a phase, and observes the phase when the event that ends
it comes. What interrupts a failover (the master answers again, somebody else's configuration)
clears those moments. Only the leader sees all phases; the others see their own detection, the
switch, and the old master's return (`rejoin`), which may come long after.

    (first unanswered ping) ─detect─> +sdown ─agree─> +odown ─elect─> +elected-leader ─select─>
    +selected-slave ─promote─> +promoted-slave ─announce─> +switch-master ─reconf─> +failover-end
                                                                         └─rejoin─> +rejoined

Pure: it knows neither the sentinel nor a clock. Times are monotonic seconds, but for the timestamp.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from .families import Families, Histogram, Kind, Spec

_C, _G, _H = Kind.COUNTER, Kind.GAUGE, Kind.HISTOGRAM

FAILOVERS: Final = Spec(
    "vedette_failovers_total",
    _C,
    "Failovers that this sentinel tried to lead, by what caused them and how they ended",
    ("master_name", "trigger", "result"),
)
SWITCHES: Final = Spec(
    "vedette_master_switches_total",
    _C,
    "Changes of a master's address, by whether this sentinel led them",
    ("master_name", "role"),
)
LAST_SWITCH: Final = Spec(
    "vedette_last_switch_timestamp_seconds",
    _G,
    "When a master's address last changed, Unix time",
    ("master_name",),
)
DURATION: Final = Spec(
    "vedette_failover_duration_seconds",
    _H,
    "From the first unanswered ping, or an operator's order, to the switch",
    ("master_name", "role"),
)
PHASE: Final = Spec(
    "vedette_failover_phase_seconds",
    _H,
    "Parts of a failover: detect, agree, elect, select, promote, announce, reconf, rejoin",
    ("master_name", "phase"),
)
VOTES: Final = Spec(
    "vedette_votes_cast_total",
    _C,
    "Votes this sentinel gave, to itself or to a peer",
    ("candidate",),
)

LOST_BYTES: Final = Spec(
    "vedette_estimated_lost_bytes_total",
    _C,
    "What promoted replicas lacked of their masters' streams, as far as the leader knows",
    ("master_name",),
)

ELECTIONS: Final = Spec(
    "vedette_elections_total",
    _C,
    "Elections that this sentinel stood for, by outcome",
    ("master_name", "result"),
)
SDOWNS: Final = Spec(
    "vedette_sdown_total",
    _C,
    "How often an instance was held subjectively down, by what it is: what flaps shows here",
    ("master_name", "kind"),
)

ELECTION_ROUNDS: Final = Spec(
    "vedette_election_rounds",
    _H,
    "How often this sentinel stood for election in a failover that it led to the end",
    ("master_name",),
)
PROMOTIONS: Final = Spec(
    "vedette_promotions_total",
    _C,
    "Replicas that this sentinel promoted, by what set them apart from the next best",
    ("master_name", "reason"),
)
DOWN_TIME: Final = Spec(
    "vedette_instance_down_seconds_total",
    _C,
    "How long instances of a kind were held subjectively down, all of them together",
    ("master_name", "kind"),
)

SPECS: Final = (
    ELECTIONS,
    ELECTION_ROUNDS,
    PROMOTIONS,
    DOWN_TIME,
    SDOWNS,
    FAILOVERS,
    SWITCHES,
    LAST_SWITCH,
    DURATION,
    PHASE,
    VOTES,
    LOST_BYTES,
)

DURATION_BOUNDS: Final = (
    0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 5.0, 7.5, 10.0, 15.0, 20.0, 30.0, 60.0, 120.0, 300.0,
)  # fmt: skip
PHASE_BOUNDS: Final = (
    0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 180.0,
)  # fmt: skip

ROUND_BOUNDS: Final = (1.0, 2.0, 3.0, 4.0, 6.0, 10.0)

TRIGGERS: Final = ("odown", "manual", "coordinated", "empty_restart", "conflict")
#: The same, by the sentinel's own word for the cause.
_TRIGGER_OF_CAUSE: Final = {
    "odown": "odown",
    "ordered": "manual",
    "coordinated": "coordinated",
    "empty-restart": "empty_restart",
    "conflict": "conflict",
}
REASONS: Final = ("only_candidate", "role", "history", "priority", "offset", "silence", "run_id")
LEADER, OBSERVER = "leader", "observer"
CANDIDATES: Final = ("self", "peer")

#: How an attempt ended, by the event that says so.
_RESULTS: Final = {
    "+failover-end": "completed",
    "+failover-end-for-timeout": "timed_out",
    "-failover-abort-not-elected": "not_elected",
    "-failover-abort-no-good-slave": "no_good_replica",
    "-failover-abort-slave-timeout": "replica_timeout",
}
_SUPERSEDED: Final = "superseded"
RESULTS: Final = (*_RESULTS.values(), _SUPERSEDED)

WON, LOST = "won", "lost"
#: What an election may come to; all but the first are the sentinel's own words for a defeat.
ELECTION_RESULTS: Final = (WON, LOST, "split", "timeout", "unsaved", "stalled", "needless")
#: What `+sdown` calls an instance, and what we do.
_KINDS: Final = {"master": "master", "slave": "replica", "sentinel": "sentinel"}

#: The phase that an event ends, and which events may have begun it, the likeliest first.
_PHASES: Final = {
    "+odown": ("agree", ("+sdown",)),
    "+elected-leader": ("elect", ("+odown", "+try-failover")),
    "+selected-slave": ("select", ("+elected-leader",)),
    "+promoted-slave": ("promote", ("+selected-slave",)),
    "+switch-master": ("announce", ("+promoted-slave",)),
    "+failover-end": ("reconf", ("+switch-master",)),
}
#: Events about a replica that belong to a failover.
_ABOUT_REPLICAS: Final = ("+selected-slave", "+promoted-slave", "+estimated-loss", "+rejoined")
_MARKS: Final = frozenset({"+sdown", "+try-failover", *_PHASES})


@dataclass(slots=True)
class _MasterLog:
    """What is known of one master's failovers."""

    failovers: Counter[tuple[str, str]] = field(default_factory=Counter)
    switches: Counter[str] = field(default_factory=Counter)
    elections: Counter[str] = field(default_factory=Counter)
    sdowns: Counter[str] = field(default_factory=Counter)
    promotions: Counter[str] = field(default_factory=Counter)
    rounds: Histogram = field(default_factory=lambda: Histogram(ROUND_BOUNDS))
    #: Candidacies since the outage at hand began.
    candidacies: int = 0
    #: Who is held down: (kind, name) -> since when; and, by kind, how long those were who were.
    down_since_s: dict[tuple[str, str], float] = field(default_factory=dict)
    down_s: Counter[str] = field(default_factory=Counter)
    last_switch_unix_s: float | None = None
    lost_bytes: int = 0
    durations: dict[str, Histogram] = field(default_factory=dict)
    phases: dict[str, Histogram] = field(default_factory=dict)
    #: When the events came that began a phase which has not ended.
    marks: dict[str, float] = field(default_factory=dict)
    #: Since when the master has been missed, or was ordered to be replaced.
    began_s: float | None = None
    is_o_down: bool = False
    #: What caused the attempt under way that we lead or stand for; None outside of one.
    trigger: str | None = None
    #: Whether that waits for votes.
    is_standing: bool = False
    #: Since when the master that was replaced last has been missed among the replicas.
    missed_s: float | None = None
    #: Whether the replica it chose is master by now, and the switch yet to be announced.
    has_promoted: bool = False

    def forget_episode(self) -> None:
        """Forget what is under way: it ended, or the master answers again."""
        self.marks.clear()
        self.began_s = None
        self.is_o_down = False
        self.candidacies = 0

    def end_down(self, instance: tuple[str, str], now_s: float) -> None:
        """Count the time in which an instance was held down, which is over."""
        since_s = self.down_since_s.pop(instance, None)
        if since_s is not None:
            # Whole milliseconds add up without error in any order.
            self.down_s[instance[0]] += round((now_s - since_s) * 1000)

    def down_ms(self, kind: str, now_s: float) -> int:
        """How long instances of a kind were held down, until now."""
        running = sum(
            round((now_s - since_s) * 1000)
            for (its_kind, _), since_s in self.down_since_s.items()
            if its_kind == kind
        )
        return self.down_s[kind] + running

    def end_election(self, result: str) -> None:
        """Count the election that is being stood for, if there is one."""
        if self.is_standing:
            self.elections[result] += 1
        self.is_standing = False

    def end_attempt(self, result: str) -> None:
        """Count the attempt under way, if there is one."""
        if self.trigger is not None:
            self.failovers[self.trigger, result] += 1
        self.trigger = None


class FailoverLog:
    """Counts and times what one sentinel's events tell; `my_id` is that sentinel's run id."""

    def __init__(self, my_id: str) -> None:
        self._my_id = my_id
        self._masters: dict[str, _MasterLog] = {}
        self._votes: Counter[str] = Counter()

    def on_event(
        self,
        event: str,
        payload: str,
        *,
        now_s: float,
        unix_s: float,
        suspected_s: float | None = None,
        cause: str | None = None,
        choice: str | None = None,
        defeat: str | None = None,
    ) -> None:
        """Take note of an event.

        `suspected_s` goes with a master's `+sdown`: when the first unanswered ping was sent;
        `cause` with `+try-failover`, in the words of SENTINEL HISTORY; `choice` with
        `+promoted-slave`: one of `REASONS`; `defeat` with an election that was not won: one of
        `ELECTION_RESULTS`.
        Events that say nothing about a failover are passed over.
        """
        if event == "+vote-for-leader":
            self._votes["self" if payload.split()[:1] == [self._my_id] else "peer"] += 1
            return
        if event in ("+sdown", "-sdown"):
            self._note_down(event, payload, now_s)
        name = _master_of(event, payload)
        if name is None:
            return
        if event == "-monitor":
            self._masters.pop(name, None)
            return
        log = self._masters.setdefault(name, _MasterLog())
        if event == "+sdown" and suspected_s is not None:
            _observe(log.phases, "detect", now_s - suspected_s, PHASE_BOUNDS)
        if event == "+elected-leader":
            log.end_election(WON)
        elif event == "-failover-abort-not-elected":
            log.end_election(defeat or LOST)
        elif event == "+rejoined" and log.missed_s is not None:
            _observe(log.phases, "rejoin", now_s - log.missed_s, PHASE_BOUNDS)
            log.missed_s = None
        self._end_phase(log, event, now_s)
        if event in _MARKS:
            log.marks[event] = now_s
        if event == "+estimated-loss":
            log.lost_bytes += int(payload.split()[-1])
        if event == "+promoted-slave" and choice is not None:
            log.promotions[choice] += 1
        self._change(log, event, now_s, unix_s, suspected_s)
        if event == "+try-failover":
            log.candidacies += 1
            if cause is not None:
                log.trigger = _TRIGGER_OF_CAUSE[cause]
            log.is_standing = log.trigger != "manual"

    def _note_down(self, event: str, payload: str, now_s: float) -> None:
        words = payload.split()
        kind = _KINDS[words[0]]
        log = self._masters.setdefault(_owner_of(payload), _MasterLog())
        instance = kind, "" if kind == "master" else words[1]
        if event == "+sdown":
            log.sdowns[kind] += 1
            log.down_since_s.setdefault(instance, now_s)
        else:
            log.end_down(instance, now_s)

    @staticmethod
    def _end_phase(log: _MasterLog, event: str, now_s: float) -> None:
        phase, starts = _PHASES.get(event, ("", ()))
        began = [log.marks.pop(start) for start in starts if start in log.marks]
        if began:
            _observe(log.phases, phase, now_s - began[0], PHASE_BOUNDS)

    @staticmethod
    def _change(
        log: _MasterLog, event: str, now_s: float, unix_s: float, suspected_s: float | None
    ) -> None:
        match event:
            case "+sdown":
                log.began_s = now_s if suspected_s is None else suspected_s
            case "+odown":
                log.is_o_down = True
            case "-odown":
                log.is_o_down = False
            case "-sdown":
                log.forget_episode()
            case "+try-failover":
                log.end_attempt(_SUPERSEDED)  # of one whose end was never announced
                log.has_promoted = False
                log.trigger = "odown" if log.is_o_down else "manual"
                if log.began_s is None:
                    log.began_s = now_s
            case "+promoted-slave":
                log.has_promoted = True
            case "+switch-master":
                _on_switch(log, now_s, unix_s)
            case _ if event in _RESULTS:
                log.end_attempt(_RESULTS[event])
                if not log.is_o_down:
                    log.forget_episode()

    def add_to(self, families: Families, now_s: float) -> None:
        """Add all that was counted and timed until `now_s`."""
        for candidate in CANDIDATES:
            families.add(VOTES, self._votes[candidate], candidate)
        for name, log in self._masters.items():
            for trigger in TRIGGERS:
                for result in RESULTS:
                    families.add(FAILOVERS, log.failovers[trigger, result], name, trigger, result)
            for result in ELECTION_RESULTS:
                families.add(ELECTIONS, log.elections[result], name, result)
            for kind in _KINDS.values():
                families.add(SDOWNS, log.sdowns[kind], name, kind)
                families.add(DOWN_TIME, log.down_ms(kind, now_s) / 1000, name, kind)
            for reason in REASONS:
                families.add(PROMOTIONS, log.promotions[reason], name, reason)
            if log.rounds.count:
                families.add_histogram(ELECTION_ROUNDS, log.rounds, name)
            for role in (LEADER, OBSERVER):
                families.add(SWITCHES, log.switches[role], name, role)
            families.add(LOST_BYTES, log.lost_bytes, name)
            if log.last_switch_unix_s is not None:
                families.add(LAST_SWITCH, log.last_switch_unix_s, name)
            for role, histogram in log.durations.items():
                families.add_histogram(DURATION, histogram, name, role)
            for phase, histogram in log.phases.items():
                families.add_histogram(PHASE, histogram, name, phase)


def _on_switch(log: _MasterLog, now_s: float, unix_s: float) -> None:
    """Count the switch; the leader's attempt goes on until its replicas follow the new master."""
    log.end_election(LOST)  # to whoever led this one
    log.missed_s = now_s
    role = LEADER if log.has_promoted else OBSERVER
    log.switches[role] += 1
    # Nobody of the old order is held down any more, until that is found out again.
    for instance in [each for each in log.down_since_s if each[0] != "sentinel"]:
        log.end_down(instance, now_s)
    if log.has_promoted and log.trigger != "manual":
        log.rounds.observe(log.candidacies)
    log.last_switch_unix_s = unix_s
    if log.began_s is not None:
        _observe(log.durations, role, now_s - log.began_s, DURATION_BOUNDS)
    if not log.has_promoted:
        log.end_attempt(_SUPERSEDED)
    log.forget_episode()
    if log.trigger is not None:
        log.marks["+switch-master"] = now_s
    log.has_promoted = False


def _observe(
    histograms: dict[str, Histogram], key: str, seconds: float, bounds: tuple[float, ...]
) -> None:
    histograms.setdefault(key, Histogram(bounds)).observe(max(0.0, seconds))


def _owner_of(payload: str) -> str:
    """Return the name of the master that an instance belongs to, or is."""
    words = payload.split()
    return words[words.index("@") + 1] if "@" in words else words[1]


def _master_of(event: str, payload: str) -> str | None:
    """Return the name of the master that a failover's event is about, or None.

    `+sdown` and its kin are also said of replicas and of sentinels, which is another matter.
    """
    words = payload.split()
    if event == "+switch-master":
        return words[0] if words else None
    if len(words) >= 2 and words[0] == "master":
        return words[1]
    if event in _ABOUT_REPLICAS and "@" in words[:-1]:
        return words[words.index("@") + 1]
    return None
