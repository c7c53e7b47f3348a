"""The sentinel as a process: what is started, in which order, and how it ends.

Puts the machine, its driver, the clients' engine and the pump together; owns the listeners, the
signals and the process' facts. Start: listen, run the machine, serve. Stop (SIGTERM, SIGINT,
SHUTDOWN): no new connections, a save that runs is finished, everything else is cancelled.
"""

from __future__ import annotations

import contextlib
import gc
import os
import random
import resource
import secrets
import signal
import socket
import sys
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

import structlog
import trio

from monitoring.metrics import FailoverLog, sentinel_metrics
from vedette import __version__
from vedette.acl.directives import (
    ACL_FILE,
    ACL_LOG_MAX_LEN,
    ACL_PUBSUB_DEFAULT,
    set_up,
    user_lines,
)
from vedette.clients import ServingSettings, Session
from vedette.clients.output_limits import limits_by_kind
from vedette.cmdspec import CommandRow
from vedette.conf import Settings
from vedette.conf.tls import TLS_PORT, TLS_REPLICATION, tls_settings
from vedette.errors import VedetteError
from vedette.log import Syslog, configure_logging
from vedette.runtime.acl_file import DiskAclFile
from vedette.runtime.listening import open_listeners
from vedette.runtime.orphans import keep_reaping
from vedette.runtime.process import (
    Supervisor,
    allow_clients,
    stop_signals,
    tell_supervisor,
    watch_clients,
    watch_waits,
)
from vedette.runtime.pump import Pump
from vedette.runtime.tls import TlsContexts
from vedette.types import RunId

from . import directives
from .commands import served_table
from .commands.info import info_text
from .config import SentinelConfig
from .context import ProcessFacts, SentinelEngine, Surroundings
from .core import SentinelCore, initial_state
from .core.actions import Publish
from .journal import VERSION as JOURNAL_VERSION
from .journal import StartRecord
from .metrics_state import (
    MetricsState,
    SaveMetrics,
    cause_of,
    choice_of,
    defeat_of,
    metrics_state,
    suspected_since_ms,
)
from .runtime.driver import Driver
from .runtime.history_file import HistoryFile
from .runtime.journal import JournalFile
from .runtime.state_file import StateFile, reason_of
from .sources import Sources

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

log = structlog.get_logger()

_SWITCH_INTERVAL_S: Final = 0.0005
#: New objects, less those that are gone, after which the collector of cycles looks at them; and so
#: many times before it looks at the older ones, of which it makes no garbage here to speak of.
_COLLECTOR_THRESHOLDS: Final = (10_000, 20, 100)
_PROTECTED_MODE_REFUSAL: Final = (
    b"-DENIED This sentinel runs in protected mode, listens on every address and has no password: "
    b"only connections from the loopback interface are accepted. Set bind or requirepass, or "
    b"switch protected-mode off.\r\n"
)


#: How the names of events begin with which a failover's record may be complete.
_ENDS_OF_FAILOVERS: Final = (b"+failover-end", b"-failover-abort-", b"+switch-master")


class ListenError(VedetteError):
    """A port cannot be listened on; the text says which and why."""


class StateError(VedetteError):
    """The state cannot be kept; the text says where and why."""


def start_logging(settings: Settings, level: str | None = None) -> None:
    """Log as the configuration says, or at another `level`."""
    configure_logging(
        level or settings.value_of(directives.LOG_LEVEL),
        settings.value_of(directives.LOG_FILE),
        Syslog.configured(settings.value_of),
        settings.value_of(directives.LOG_FORMAT),
    )


async def run_sentinel(
    config: SentinelConfig,
    file: str,
    state_path: str,
    supervisor: Supervisor = Supervisor.NOBODY,
) -> None:
    """Run a sentinel until it is told to stop.

    Both paths are absolute: of the configuration file, and of the one that keeps the state from now
    on, which may be the same. `supervisor` is told when the sentinel is ready and when it stops.

    Raises:
        ListenError: a port or an address of `bind` cannot be had.
        StateError: the state cannot be written.
        TlsError: what the configuration says of TLS cannot be used.
        ConfigError: what the configuration says of users cannot be used.
        OSError: the journal asked for cannot be opened.
    """
    settings = config.settings
    # The thread that saves gives up the interpreter at each system call, and with Python's 5 ms got
    # it back so late in a busy moment that a vote took 100 ms.
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    port, metrics_port = (
        settings.value_of(directives.PORT),
        settings.value_of(directives.METRICS_PORT),
    )
    tls_port = settings.value_of(TLS_PORT)
    if port == 0 and tls_port == 0:
        raise ListenError("configured to not listen anywhere: fellow sentinels must reach a port")
    with contextlib.ExitStack() as stack:
        listeners = _listen(stack, settings, port) if port else []
        tls_listeners = _listen(stack, settings, tls_port) if tls_port else []
        metrics_listeners = _listen(stack, settings, metrics_port) if metrics_port else []
        journal = stack.enter_context(JournalFile(settings.value_of(directives.JOURNAL)))
        state_file = StateFile(state_path, config.outside)
        try:
            # Only now that the port is ours, and no other sentinel writes this file.
            state_file.prove(config.durable)
        except OSError as error:
            raise StateError(f"cannot write {state_path}: {reason_of(error)}") from error
        sentinel = _Sentinel(config, file, state_file, journal, supervisor)
        await sentinel.run(listeners, tls_listeners, metrics_listeners)


def _listen(stack: contextlib.ExitStack, settings: Settings, port: int) -> list[socket.socket]:
    """Return listening sockets for `port` on the addresses of `bind`; the stack closes them."""
    hosts, backlog = settings.value_of(directives.BIND), settings.value_of(directives.TCP_BACKLOG)
    try:
        listeners = open_listeners(hosts, port, backlog)
    except OSError as error:
        raise ListenError(f"cannot listen on port {port}: {error.strerror or error}") from error
    for listener in listeners:
        stack.callback(listener.close)
    return listeners


class _Sentinel:
    """The parts of one running sentinel."""

    def __init__(
        self,
        config: SentinelConfig,
        file: str,
        state_file: StateFile,
        journal: JournalFile,
        supervisor: Supervisor,
    ) -> None:
        self._settings = config.settings
        self._supervisor = supervisor
        self._limit_clients()
        self._file = file
        self._state_file = state_file
        self._run_id = RunId(secrets.token_hex(20))
        self._started_s = trio.current_time()
        self._stop = trio.Event()
        seed = secrets.randbits(64)
        journal.write(StartRecord(JOURNAL_VERSION, seed, config.durable))
        self._tls = TlsContexts(
            lambda: tls_settings(config.settings.value_of),
            listens=lambda: bool(config.settings.value_of(TLS_PORT)),
            connects=lambda: config.settings.value_of(TLS_REPLICATION),
        )
        self.driver = Driver(
            SentinelCore(initial_state(config.durable), random.Random(seed)),
            state_file,
            sources=Sources(
                config.settings.value_of(directives.BIND_SOURCE_ADDRESS),
                config.settings.value_of(directives.BIND),
            ),
            tls_context=self._tls.for_client(),
            observe=journal.write if config.settings.value_of(directives.JOURNAL) else None,
            on_publish=self._note_event,
        )
        self.history = HistoryFile(
            config.settings.value_of(directives.HISTORY_FILE),
            self.driver.state,
            time.time_ns() // 1_000_000 - self.driver.now_ms(),
        )
        self.history.open()
        self._failovers = FailoverLog(self.driver.state.my_id)
        self.engine = SentinelEngine(
            served_table(),
            self.driver,
            self._surroundings(config),
            self._serving_settings(),
            on_crash=_log_crash,
        )
        self._set_up_access(config)
        self.pump = Pump(
            self.engine,
            max_clients=lambda: self._settings.value_of(directives.MAX_CLIENTS),
            refusal=self._refusal,
            tcp_keepalive_s=lambda: self._settings.value_of(directives.TCP_KEEPALIVE),
            tls_context=self._tls.for_server,
        )
        self.driver.attach(self.engine, self.pump.settle, self.pump.serve_ready)

    async def run(
        self,
        listeners: list[socket.socket],
        tls_listeners: list[socket.socket],
        metrics_listeners: list[socket.socket],
    ) -> None:
        """Serve clients and scrapers on their listeners until told to stop."""
        log.info(
            "sentinel.started",
            version=__version__,
            port=self._settings.value_of(directives.PORT),
            pid=os.getpid(),
            my_id=self.driver.state.my_id,
            masters=list(self.driver.state.masters),
        )
        # Modules, tables and masters stay; to look through those of a thousand took a seventh of
        # the machine's time, and kept everybody waiting.
        gc.collect()
        gc.freeze()
        gc.set_threshold(*_COLLECTOR_THRESHOLDS)
        async with trio.open_nursery() as nursery:
            await nursery.start(self._watch_signals, name="signals")
            # Whoever connected early waits in the listeners' queue until the machine can answer.
            await nursery.start(self.driver.run, name="machine")
            await nursery.start(self.pump.serve, listeners, tls_listeners, name="client port")
            if os.getpid() == 1:
                nursery.start_soon(keep_reaping, self.driver.scripts.process_ids, name="orphans")
            if metrics_listeners:
                # What encodes metrics takes longer to import than most of the sentinel.
                from vedette.runtime.metrics_endpoint import serve_metrics

                await nursery.start(
                    serve_metrics, metrics_listeners, self._metrics, name="metrics port"
                )
            nursery.start_soon(
                watch_clients,
                self.pump,
                lambda: self._settings.value_of(directives.TIMEOUT),
                name="idle and slow clients",
            )
            nursery.start_soon(watch_waits, self.pump, name="waits of clients")
            tell_supervisor(self._supervisor, "READY=1")
            await self._stop.wait()
            tell_supervisor(self._supervisor, "STOPPING=1")
            self.pump.acceptor.stop()
            nursery.cancel_scope.cancel()
        log.info("sentinel.stopped")

    def _metrics(self) -> Iterable[Metric]:
        state = self.metrics_state()
        return sentinel_metrics(
            state,
            self._failovers,
            now_s=time.time(),
            monotonic_s=self.driver.now_ms() / 1000,
            detail=state.masters,
            meter=self.driver.meter,
            certificates=self._tls.expiries_s,
        )

    def _note_event(self, action: Publish) -> None:
        """Have failovers counted and timed by what is announced of them."""
        if action.master is not None and action.event.startswith(_ENDS_OF_FAILOVERS):
            self.history.write(action.master)
        suspected_ms = suspected_since_ms(self.driver.state, action)
        self._failovers.on_event(
            action.event.decode("ascii", "replace"),
            action.payload.decode("utf-8", "replace"),
            now_s=self.driver.now_ms() / 1000,
            unix_s=time.time(),
            suspected_s=None if suspected_ms is None else suspected_ms / 1000,
            cause=cause_of(self.driver.state, action),
            choice=choice_of(self.driver.state, action),
            defeat=defeat_of(self.driver.state, action),
        )

    def metrics_state(self) -> MetricsState:
        """Return what there is to measure, as of now."""
        saver = self.driver.saver
        self.engine.begin_batch(time.time_ns() // 1_000_000)
        return metrics_state(
            self.driver.state,
            self.driver.now_ms(),
            info=info_text(self.engine.context),
            saves=SaveMetrics(
                saved_count=saver.saved_count,
                failed_count=saver.failed_count,
                last_duration_s=saver.last_save_s,
                is_failing=bool(self.driver.state.save_error),
            ),
            event_counts=self.driver.event_counts,
        )

    def _limit_clients(self) -> None:
        """Allow no more clients than the system has descriptors for."""
        wanted = self._settings.value_of(directives.MAX_CLIENTS)
        allowed = allow_clients(wanted)
        if allowed < wanted:
            log.warning("sentinel.client_limit_lowered", wanted=wanted, allowed=allowed)
            self._settings.put(directives.MAX_CLIENTS, allowed)

    def request_stop(self) -> None:
        """Have `run` return."""
        self._stop.set()

    async def _watch_signals(
        self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        with stop_signals() as signals:
            task_status.started()
            async for number in signals:
                log.warning("sentinel.signal_received", signal=signal.Signals(number).name)
                self.request_stop()

    def _refusal(self, host: str) -> bytes | None:
        """Return what turns a connection away in protected mode, or None."""
        is_open = (
            not self._settings.value_of(directives.PROTECTED_MODE)
            or not self.engine.access.users.default.is_nopass
            or not self._settings.is_default(directives.BIND.name)
        )
        if is_open or host.startswith("127.") or host == "::1":
            return None
        return _PROTECTED_MODE_REFUSAL

    def _serving_settings(self) -> ServingSettings:
        settings = self._settings
        return ServingSettings(
            mode="sentinel",
            query_buffer_limit_bytes=settings.value_of(directives.QUERY_LIMIT),
            max_bulk_bytes=settings.value_of(directives.BULK_LIMIT),
            output_limits=limits_by_kind(settings.value_of(directives.OUTPUT_LIMITS)),
        )

    def _surroundings(self, config: SentinelConfig) -> Surroundings:
        return Surroundings(
            settings=config.settings,
            denies_scripts_reconfig=config.denies_scripts_reconfig,
            process_facts=self._process_facts,
            pending_scripts=self.driver.scripts.pending,
            is_executable=is_executable,
            start_resolving=self.driver.start_resolving,
            request_shutdown=self.request_stop,
            start_examination=self.driver.start_examination,
            keep_users=self._keep_users,
            events=self.driver.events,
            set_log_level=lambda level: start_logging(self._settings, level),
        )

    def _set_up_access(self, config: SentinelConfig) -> None:
        settings, access = config.settings, self.engine.access
        access.log.max_length = settings.value_of(ACL_LOG_MAX_LEN)
        access.users.allows_channels_by_default = (
            settings.value_of(ACL_PUBSUB_DEFAULT) == "allchannels"
        )
        path = settings.value_of(ACL_FILE)
        set_up(
            access,
            password=settings.value_of(directives.REQUIRE_PASS),
            users=config.users,
            file=DiskAclFile(path) if path else None,
        )

    def _keep_users(self) -> None:
        """Have the next save write the users, where the configuration file is what is written."""
        access = self.engine.access
        if access.file is None and self._state_file.path == self._file:
            password = self._settings.value_of(directives.REQUIRE_PASS)
            self._state_file.user_lines = user_lines(access, password=password)

    def _process_facts(self) -> ProcessFacts:
        own = resource.getrusage(resource.RUSAGE_SELF)
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        main_thread = resource.getrusage(resource.RUSAGE_THREAD)
        return ProcessFacts(
            process_id=os.getpid(),
            supervisor=self._supervisor.value,
            run_id=self._run_id,
            executable=sys.argv[0],
            config_file=self._file,
            tcp_port=self._settings.value_of(directives.PORT),
            uptime_s=int(trio.current_time() - self._started_s),
            cpu_user_s=own.ru_utime,
            cpu_system_s=own.ru_stime,
            main_thread_user_s=main_thread.ru_utime,
            main_thread_system_s=main_thread.ru_stime,
            children_cpu_user_s=children.ru_utime,
            children_cpu_system_s=children.ru_stime,
        )


def _log_crash(session: Session, row: CommandRow, error: Exception) -> None:
    log.error("client.command_crashed", command=row.full_name, client_id=session.id, exc_info=error)


def is_executable(path: str) -> bool:
    """Whether the script at `path` can be run."""
    return os.path.isfile(path) and os.access(path, os.X_OK)
