"""The server as a process: what is started, in which order, and how it ends.

Puts the engine, the pump, replication and saving together; owns listeners, signals and timers.
Start: listen, load the snapshot (answering LOADING if that takes long), then follow a master if
told to.
Stop (SIGTERM, SIGINT, SHUTDOWN): no new connections, a snapshot if save points ask for one, then
everything is cancelled.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final

import structlog
import trio
import trio.lowlevel

from monitoring.metrics import DIRECTIVES, server_metrics
from monitoring.server_meter import FeedView, StreamView
from vedette import __version__
from vedette.clients import ServingSettings, Session
from vedette.cmdspec import CommandRow
from vedette.conf.tls import TLS_DIRECTIVES, TLS_PORT, TLS_REPLICATION, tls_settings
from vedette.log import Syslog, configure_logging
from vedette.runtime.process import (
    Supervisor,
    allow_clients,
    stop_signals,
    tell_supervisor,
    watch_clients,
)
from vedette.runtime.pump import Pump
from vedette.runtime.tls import TlsContexts, TlsError

from . import directives
from .commands import command_table
from .commands.info_sections import SECTIONS, collect
from .commands.replication import start_following
from .commands.server_admin import shutdown_request
from .config import ChangeRefused, Configuration
from .engine import ServerEngine
from .replication.feed import FeedState
from .runtime.append_only import AofLostError, AppendOnlyFile
from .runtime.clock import wall_clock_ms
from .runtime.host import ServerHost, process_facts
from .runtime.listeners import ListenError, Listeners
from .runtime.loading import LoadError, load_at_start
from .runtime.metrics import MetricsServing
from .runtime.migration import Migrations
from .runtime.replication import ReplicationRuntime
from .runtime.script_debugging import ScriptDebugging

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

log = structlog.get_logger()

#: How long clients that connect at start wait for the dataset before they are told LOADING. Redis
#: accepts nobody until it has loaded 2 MiB, so who waits for its start seldom hears that word.
_SHORT_LOADING_S: Final = 0.2

_PROTECTED_MODE_REFUSAL: Final = (
    b"-DENIED This server runs in protected mode and has no password: only connections from the "
    b"loopback interface are accepted. Set requirepass, or switch protected-mode off.\r\n"
)


def start_logging(configuration: Configuration) -> None:
    """Log as the configuration says at present."""
    configure_logging(
        configuration[directives.LOG_LEVEL],
        configuration[directives.LOG_FILE],
        Syslog.configured(configuration.__getitem__),
        configuration[directives.LOG_FORMAT],
    )


async def run_server(
    configuration: Configuration, supervisor: Supervisor = Supervisor.NOBODY
) -> None:
    """Run a server until it is told to stop.

    `supervisor` is told when the dataset is loaded, and when the server stops.

    Raises:
        AofLostError: what clients wrote could not be made as safe as `appendfsync` promises.
        ListenError: a port or an address of `bind` cannot be had.
        TlsError: what the configuration says of TLS cannot be used.
        LoadError: there is a snapshot or append-only file, and it cannot be used.
        ConfigError: what the configuration says of users cannot be used.
    """
    server = _Server(configuration, supervisor)
    with contextlib.ExitStack() as stack:
        listeners = Listeners(configuration)
        stack.callback(listeners.close)
        listeners.open()
        metrics = MetricsServing(configuration, listeners, server.metrics)
        stack.callback(metrics.close)
        listeners.follow_changes(server.pump.acceptor)
        await server.run(listeners, metrics)


class _Server:
    """The parts of one running server."""

    def __init__(self, configuration: Configuration, supervisor: Supervisor) -> None:
        self._configuration = configuration
        self._supervisor = supervisor
        self._stop = trio.Event()
        #: Around the loading of the dataset at start, which a stop ends.
        self._loading = trio.CancelScope()
        self._loaded = trio.Event()
        self._migrations: Migrations | None = None
        self._tls = TlsContexts(
            lambda: tls_settings(configuration.__getitem__),
            listens=lambda: bool(configuration[TLS_PORT]),
            connects=lambda: configuration[TLS_REPLICATION],
        )
        self._host = ServerHost(configuration, self._on_shutdown)
        serving = ServingSettings()
        self.engine = ServerEngine(
            command_table(configuration.renames),
            self._host,
            serving,
            configuration=configuration,
            facts=process_facts(supervisor),
            database_count=configuration[directives.DATABASES],
            on_crash=_log_crash,
        )
        self._host.attach(self.engine)
        self.engine.saves.last_save_ms = wall_clock_ms()
        self.pump = Pump(
            self.engine,
            max_clients=lambda: configuration[directives.MAX_CLIENTS],
            refusal=self._refusal,
            before_send=self._after_batch,
            persist=lambda: self._aof.flush(),
            tcp_keepalive_s=lambda: configuration[directives.TCP_KEEPALIVE],
            tls_context=self._tls.for_server,
        )
        self.engine.scripting.on_slow = lambda run: self.pump.serve_besides(run.caller)
        self.engine.scripting.on_log = _log_script
        self._replication = ReplicationRuntime(
            self.engine,
            self.pump,
            snapshot=self._host.snapshot,
            saves=self._host.snapshots,
            new_progress=self._host.new_progress,
            snapshot_path=self._host.snapshot_path,
            source_address=lambda: configuration[directives.BIND_SOURCE_ADDRESS],
            tls_context=self._tls.for_client,
            on_acknowledged=self._host.stopping.advance,
        )
        self._aof = AppendOnlyFile(
            self.engine,
            snapshot=lambda progress: self._host.snapshot(progress, is_aof_base=True),
            new_progress=self._host.new_progress,
            settle=self._settle_synced,
        )
        self._watch_log_level()
        self._watch_directory()
        self._watch_client_limit()
        self._watch_tls()

    async def run(
        self,
        listeners: Listeners,
        metrics: MetricsServing,
    ) -> None:
        """Serve clients and scrapers on their listeners until told to stop.

        Raises:
            LoadError: there is a snapshot or append-only file, and it cannot be used.
        """
        configuration = self._configuration
        log.info(
            "server.started",
            version=__version__,
            port=configuration[directives.PORT],
            pid=os.getpid(),
            run_id=self.engine.run_id,
        )
        async with trio.open_nursery() as nursery:
            await nursery.start(self._watch_signals, name="signals")
            self.engine.migrations = self._migrations = Migrations(
                lambda task: nursery.start_soon(task, name="migration"), self._settle_act
            )
            self.engine.scripting.debugging.host = ScriptDebugging(
                lambda task: nursery.start_soon(task, name="script debugger"),
                self._is_plain,
                self._host.adjust_oom_score,
            )
            # Nobody may see the dataset before it is loaded, least of all a replica.
            self.engine.begin_loading(wall_clock_ms())
            # Nor may it be taken for a master: a sentinel would demote it, a client write to it.
            master = configuration[directives.REPLICA_OF]
            if master is not None:
                start_following(self.engine, master, wall_clock_ms(), is_starting=True)
            self._host.adjust_oom_score()
            nursery.start_soon(self._serve_clients, listeners, name="clients")
            await nursery.start(metrics.run, name="metrics")
            with self._loading:
                await self._load()
            is_loaded = not self._loading.cancelled_caught
            if is_loaded:
                await self._serve(nursery)
            # Before the clients' connections end: who sees that may connect anew at once, and is to
            # be refused by a port that nobody has.
            self.pump.acceptor.stop()
            listeners.close()
            nursery.cancel_scope.cancel()
        self._host.collector.close()
        if is_loaded:
            self._aof.finish()
        if self._migrations is not None:
            self._migrations.close()
        log.info("server.stopped")

    async def _serve(self, nursery: trio.Nursery) -> None:
        """Do all that takes a dataset, until told to stop and everything is handed on."""
        configuration = self._configuration
        self._host.collector.tune()
        nursery.start_soon(self._aof.run, name="append-only file")
        nursery.start_soon(self._replication.run, name="replication")
        nursery.start_soon(self._host.snapshots.run, name="snapshots")
        nursery.start_soon(self._tick, name="timers")
        nursery.start_soon(self._reclaim, name="memory")
        nursery.start_soon(
            watch_clients,
            self.pump,
            lambda: configuration[directives.TIMEOUT],
            name="idle and slow clients",
        )
        log.info("server.ready", keys=sum(map(len, self.engine.keyspace.databases)))
        tell_supervisor(self._supervisor, "READY=1")
        await self._stop.wait()
        tell_supervisor(self._supervisor, "STOPPING=1")

    async def _load(self) -> None:
        """Load the dataset, answering LOADING meanwhile.

        With `appendonly` that is the append-only file. If there is none yet, the snapshot becomes
        its first base: what was saved before it was turned on is not to be lost.
        """
        is_aof_wanted = self._configuration[directives.APPEND_ONLY]
        if not (is_aof_wanted and await self._aof.load()):
            await load_at_start(self.engine, self._host.snapshot_path())
        if is_aof_wanted:
            await self._aof.open()
        self.engine.end_loading()
        self._loaded.set()

    async def _serve_clients(self, listeners: Listeners) -> None:
        with trio.move_on_after(_SHORT_LOADING_S):
            await self._loaded.wait()
        await self.pump.serve(listeners.plain, listeners.tls)

    def metrics(self) -> Iterable[Metric]:
        """Return what scrapers are told."""
        self.engine.begin_batch(wall_clock_ms())
        sections = collect(self.engine.context, SECTIONS)
        return server_metrics(
            {name: str(value) for _, fields in sections for name, value in fields.items()},
            now_s=time.time(),
            config={name: str(self._configuration.settings[name]) for name in DIRECTIVES},
            meter=self.engine.meter,
            stream=self._stream_view(),
            certificates=self._tls.expiries_s,
            monotonic_s=trio.current_time(),
        )

    def _stream_view(self) -> StreamView:
        replication = self.engine.replication
        backlog = replication.backlog
        return StreamView(
            is_writable=self.engine.is_taking_writes(),
            offset=replication.offset,
            backlog_size_bytes=None if backlog is None else backlog.size_bytes,
            feeds=[
                FeedView(feed.host, feed.options.listening_port, feed.acknowledged_offset)
                for feed in replication.feeds.values()
                if feed.state is FeedState.ONLINE
            ],
        )

    # --- ending ----------------------------------------------------------------------------------

    def _on_shutdown(self) -> None:
        self._stop.set()
        self._loading.cancel()

    async def _watch_signals(
        self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        with stop_signals() as signals:
            task_status.started()
            async for number in signals:
                log.warning("server.signal_received", signal=signal.Signals(number).name)
                self._settle_act(partial(self._on_signal, number))

    def _on_signal(self, number: int) -> None:
        """End as is configured; a second SIGINT ends the wait for replicas."""
        is_interrupt = number == signal.SIGINT
        words = self._configuration[
            directives.SHUTDOWN_ON_SIGINT if is_interrupt else directives.SHUTDOWN_ON_SIGTERM
        ]
        request = shutdown_request(words)
        waiting = self.engine.shutdown.request
        if waiting is not None and is_interrupt:
            request = replace(waiting, is_now=True)
        with contextlib.suppress(OSError):  # logged; the server goes on
            self._host.stopping.request_by_signal(request)

    # --- timers ----------------------------------------------------------------------------------

    async def _tick(self) -> None:
        """Do `hz` times a second what nobody asks for: expiry, waits that end, INFO's samples."""
        engine = self.engine
        while True:
            await trio.sleep(1 / self._configuration[directives.HZ])
            engine.on_tick(wall_clock_ms())
            engine.expire_waits()
            self._host.collector.on_tick(engine.commands_processed)
            self._replication.advance_failover()
            self._host.stopping.advance()
            self._aof.tick()
            if self._migrations is not None:
                self._migrations.close_idle()
            self.pump.settle()

    async def _reclaim(self) -> None:
        """Evict and free what takes longer than a moment, between batches."""
        wanted = trio.Event()

        def want() -> None:
            wanted.set()

        self.engine.memory.lazy_free.on_work = want
        while True:
            await wanted.wait()
            wanted = trio.Event()
            self.engine.begin_batch(wall_clock_ms())
            while self.engine.memory.reclaim():
                self.pump.settle()
                await trio.lowlevel.checkpoint()
                self.engine.begin_batch(wall_clock_ms())
            self.pump.settle()

    def _after_batch(self) -> None:
        """Write what the batch did before anyone hears of it, then let replicas have it.

        What became safe by that may end waits, and the requests behind those write again.
        """
        self.engine.client_eviction.after_batch()
        self.engine.memory.after_batch()
        self._aof.flush()
        while self.engine.has_woken:
            self.engine.end_batch()
            self._aof.flush()
        self._replication.after_batch()

    def _settle_act(self, act: Callable[[], None]) -> None:
        """Have `act` done as if a client had asked for it."""
        self.engine.begin_batch(wall_clock_ms())
        act()
        self.pump.settle()

    def _settle_synced(self) -> None:
        self._replication.link.on_synced()
        self.pump.settle()

    # --- settings --------------------------------------------------------------------------------

    def _watch_log_level(self) -> None:
        configuration = self._configuration
        configuration.on_change(
            lambda: start_logging(configuration),
            directives.LOG_LEVEL,
            directives.LOG_FORMAT,
        )

    def _watch_directory(self) -> None:
        configuration = self._configuration
        configuration.put(directives.DIRECTORY, os.getcwd())

        def enter() -> None:
            try:
                os.chdir(configuration[directives.DIRECTORY])
                configuration.put(directives.DIRECTORY, os.getcwd())
            except OSError as error:
                raise ChangeRefused(error.strerror or str(error)) from error

        configuration.on_change(enter, directives.DIRECTORY)

    def _watch_tls(self) -> None:
        def renew() -> None:
            try:
                self._tls.renew()
            except TlsError as error:
                log.error("server.tls_not_updated", error=str(error))
                raise ChangeRefused("Unable to update TLS configuration. Check server logs.") from (
                    error
                )

        self._configuration.on_change(renew, *TLS_DIRECTIVES)

    def _watch_client_limit(self) -> None:
        configuration = self._configuration
        wanted = configuration[directives.MAX_CLIENTS]
        allowed = allow_clients(wanted)
        if allowed < wanted:
            log.warning("server.client_limit_lowered", wanted=wanted, allowed=allowed)
            configuration.put(directives.MAX_CLIENTS, allowed)

        def allow() -> None:
            wanted = configuration[directives.MAX_CLIENTS]
            if (allowed := allow_clients(wanted)) < wanted:
                raise ChangeRefused(
                    "The operating system is not able to handle the specified number of clients,"
                    f" try with {allowed}"
                )

        configuration.on_change(allow, directives.MAX_CLIENTS)

    def _is_plain(self, session: Session) -> bool:
        """Return whether `session` came by a listener without TLS."""
        tls_port = self._configuration[TLS_PORT]
        return not tls_port or not session.local_address.endswith(f":{tls_port}")

    def _refusal(self, host: str) -> bytes | None:
        """Return what turns a connection away in protected mode, or None."""
        configuration = self._configuration
        is_open = (
            not configuration[directives.PROTECTED_MODE]
            or not self.engine.access.users.default.is_nopass
        )
        if is_open or not host or host.startswith("127.") or host == "::1":
            return None
        return _PROTECTED_MODE_REFUSAL


def _log_script(level: int, text: bytes) -> None:
    """Write what a script has to say: debug and verbose are one level here."""
    write = (log.debug, log.debug, log.info, log.warning)[level]
    write("script.logged", text=text.decode("utf-8", "replace"))


def _log_crash(session: Session, row: CommandRow, error: Exception) -> None:
    log.error("client.command_crashed", command=row.full_name, client_id=session.id, exc_info=error)


__all__ = ["AofLostError", "ListenError", "LoadError", "run_server"]
