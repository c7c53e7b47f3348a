"""Running what the master's stream brings: as `Engine.run` does, without what a client needs.

A master has asked all that is to be asked, so no gate is looked at, and nobody reads the replies.
That takes half the time of the way through the gates, on which a replica's clients go; without it a
replica could not keep up with a master at its limit. A piece of nothing but plain SETs, as a busy
stream often is, is applied as one: that takes a quarter of the time of one after the other.
"""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING, Final

from vedette.clients import Session
from vedette.clients.running import NO_ROW
from vedette.cmdspec import Flag

from ..commands.strings import set_, set_many

if TYPE_CHECKING:
    from .engine import ServerEngine

_UNUSUAL: Final = Flag.NOT_QUEUED
_NAME: Final = itemgetter(0)


def apply_stream(engine: ServerEngine, session: Session, commands: list[list[bytes]]) -> None:
    """Run `commands` of the master whose session it is.

    Transactions, what MONITOR is to see, and all that is out of the ordinary go the usual way.
    """
    if engine.is_watching_calls or engine.scripting.slow_refusal is not None:
        engine.run(session, commands)
        session.outbox.clear()
        return
    engine.enter(session)
    if _apply_as_one(engine, session, commands):
        return
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


def _apply_as_one(engine: ServerEngine, session: Session, commands: list[list[bytes]]) -> bool:
    """Run `commands` if they are SETs without options that no client is told of; else return
    False.
    """
    names = set(map(_NAME, commands))
    if len(names) != 1 or engine.woken or session.queued_commands is not None:
        return False
    row = engine.plain_rows.get(names.pop())
    # Another function stands there while uses of keys are noted.
    if row is None or row.handler is not set_:
        return False
    started = engine.clock()
    if not set_many(engine.context, commands):
        return False
    engine.propagate_each(session.database_index, commands)
    row.groups.append((len(commands), engine.clock() - started))
    engine.keyspace.dirty += len(commands)
    engine.commands_processed += len(commands)
    return True
