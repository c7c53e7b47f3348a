"""Running what the master's stream brings: as `Engine.run` does, without what a client needs.

A master has asked all that is to be asked, so no gate is looked at, and nobody reads the replies.
That takes half the time of the way through the gates, on which a replica's clients go; without it a
replica could not keep up with a master at its limit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from vedette.clients import Session
from vedette.clients.running import NO_ROW
from vedette.cmdspec import Flag

if TYPE_CHECKING:
    from .engine import ServerEngine

_UNUSUAL: Final = Flag.NOT_QUEUED


def apply_stream(engine: ServerEngine, session: Session, commands: list[list[bytes]]) -> None:
    """Run `commands` of the master whose session it is.

    Transactions, what MONITOR is to see, and all that is out of the ordinary go the usual way.
    """
    if engine.is_watching_calls or engine.scripting.slow_refusal is not None:
        engine.run(session, commands)
        session.outbox.clear()
        return
    engine.enter(session)
    context = engine.context
    find = engine.plain_rows.get
    clock = engine.clock
    sinks, woken, keyspace = engine.sinks, engine.woken, engine.keyspace
    count = calls = 0
    row = NO_ROW
    handler = None
    least = most = 0
    is_queueing = session.queued_commands is not None
    started = clock()
    for argv in commands:
        found = find(argv[0])
        if found is not row:
            if calls:
                now = clock()
                row.groups.append((calls, now - started))
                count += calls
                started = now
                calls = 0
            row = found or NO_ROW
            # Without one: a subcommand, a name in mixed case, or MULTI, EXEC and their like.
            handler = None if row.flags & _UNUSUAL else row.handler
            least, most = row.min_arguments, row.max_arguments
        if handler is None or is_queueing or not least <= len(argv) <= most:
            engine.run(session, [argv])
            is_queueing = session.queued_commands is not None
            started = clock()
            continue
        try:
            handler(context, argv)
        except Exception as error:
            engine.note_failure(session, row, error)
        if changes := context.changes:
            if sinks or woken:
                engine.after_write(session, row, argv)
            else:  # what that does where nobody is to be told, without the cost of a call
                context.changes = 0
                context.effects = None
                keyspace.dirty += changes
        calls += 1
    if calls:
        row.groups.append((calls, clock() - started))
    engine.commands_processed += count + calls
    session.outbox.clear()
