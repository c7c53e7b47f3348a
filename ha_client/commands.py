"""Methods named after commands, for the client and for its pipelines.

Owns nothing but how arguments are spelt. `_issue` decides what a call gives: an awaitable reply
for the client, the pipeline itself for a pipeline. Names and parameters are redis-py's; replies are
as the server sends them (bytes, not text; `b"OK"`, not `True`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Generic, TypeVar

from vedette.resp.exchange import Argument

IssuedT = TypeVar("IssuedT")


class CommandMethods(ABC, Generic[IssuedT]):
    """See the module."""

    __slots__ = ()

    @abstractmethod
    def _issue(self, *arguments: Argument) -> IssuedT:
        """Send a command, or keep it for later."""

    def ping(self) -> IssuedT:
        """`b"PONG"`."""
        return self._issue("PING")

    def get(self, name: Argument) -> IssuedT:
        """The value as bytes, or None."""
        return self._issue("GET", name)

    def set(
        self,
        name: Argument,
        value: Argument,
        *,
        ex: int | None = None,
        px: int | None = None,
        nx: bool = False,
        xx: bool = False,
        keepttl: bool = False,
        get: bool = False,
    ) -> IssuedT:
        """`b"OK"`, or None if `nx` or `xx` forbade it; with `get` the value before.

        `ex` is a time to live in seconds, `px` in milliseconds.
        """
        arguments: list[Argument] = [name, value]
        if ex is not None:
            arguments += ["EX", ex]
        if px is not None:
            arguments += ["PX", px]
        for is_wanted, word in ((nx, "NX"), (xx, "XX"), (keepttl, "KEEPTTL"), (get, "GET")):
            if is_wanted:
                arguments.append(word)
        return self._issue("SET", *arguments)

    def mget(self, *names: Argument) -> IssuedT:
        """The values in the order of the names, None for those that are missing."""
        return self._issue("MGET", *names)

    def mset(self, mapping: Mapping[str | bytes, Argument]) -> IssuedT:
        """`b"OK"`."""
        return self._issue("MSET", *_flattened(mapping))

    def incr(self, name: Argument, amount: int = 1) -> IssuedT:
        """The new value as an integer."""
        return self._issue("INCRBY", name, amount)

    def decr(self, name: Argument, amount: int = 1) -> IssuedT:
        """The new value as an integer."""
        return self._issue("DECRBY", name, amount)

    def append(self, name: Argument, value: Argument) -> IssuedT:
        """The new length in bytes."""
        return self._issue("APPEND", name, value)

    def delete(self, *names: Argument) -> IssuedT:
        """How many of the keys there were."""
        return self._issue("DEL", *names)

    def exists(self, *names: Argument) -> IssuedT:
        """How many of the keys there are."""
        return self._issue("EXISTS", *names)

    def expire(self, name: Argument, time: int) -> IssuedT:
        """1, or 0 if there is no such key; `time` in seconds."""
        return self._issue("EXPIRE", name, time)

    def pexpire(self, name: Argument, time: int) -> IssuedT:
        """1, or 0 if there is no such key; `time` in milliseconds."""
        return self._issue("PEXPIRE", name, time)

    def persist(self, name: Argument) -> IssuedT:
        """1 if a time to live was removed, else 0."""
        return self._issue("PERSIST", name)

    def ttl(self, name: Argument) -> IssuedT:
        """Seconds to live; -1 without end, -2 without key."""
        return self._issue("TTL", name)

    def pttl(self, name: Argument) -> IssuedT:
        """Milliseconds to live; -1 without end, -2 without key."""
        return self._issue("PTTL", name)

    def type(self, name: Argument) -> IssuedT:
        """`b"string"`, `b"list"` and so on; `b"none"` without key."""
        return self._issue("TYPE", name)

    def hget(self, name: Argument, key: Argument) -> IssuedT:
        """The field's value, or None."""
        return self._issue("HGET", name, key)

    def hset(self, name: Argument, mapping: Mapping[str | bytes, Argument]) -> IssuedT:
        """How many fields are new."""
        return self._issue("HSET", name, *_flattened(mapping))

    def hgetall(self, name: Argument) -> IssuedT:
        """A dict of fields and values (a flat list from a server without RESP3)."""
        return self._issue("HGETALL", name)

    def hdel(self, name: Argument, *keys: Argument) -> IssuedT:
        """How many of the fields there were."""
        return self._issue("HDEL", name, *keys)

    def lpush(self, name: Argument, *values: Argument) -> IssuedT:
        """The new length."""
        return self._issue("LPUSH", name, *values)

    def rpush(self, name: Argument, *values: Argument) -> IssuedT:
        """The new length."""
        return self._issue("RPUSH", name, *values)

    def lpop(self, name: Argument) -> IssuedT:
        """The first item, or None."""
        return self._issue("LPOP", name)

    def rpop(self, name: Argument) -> IssuedT:
        """The last item, or None."""
        return self._issue("RPOP", name)

    def lrange(self, name: Argument, start: int, end: int) -> IssuedT:
        """The items from `start` to `end`, both included; -1 is the last."""
        return self._issue("LRANGE", name, start, end)

    def llen(self, name: Argument) -> IssuedT:
        """The length; 0 without key."""
        return self._issue("LLEN", name)

    def sadd(self, name: Argument, *values: Argument) -> IssuedT:
        """How many members are new."""
        return self._issue("SADD", name, *values)

    def srem(self, name: Argument, *values: Argument) -> IssuedT:
        """How many of the members there were."""
        return self._issue("SREM", name, *values)

    def smembers(self, name: Argument) -> IssuedT:
        """The members as a list."""
        return self._issue("SMEMBERS", name)

    def sismember(self, name: Argument, value: Argument) -> IssuedT:
        """1 or 0."""
        return self._issue("SISMEMBER", name, value)

    def publish(self, channel: Argument, message: Argument) -> IssuedT:
        """How many subscribers of this node got it."""
        return self._issue("PUBLISH", channel, message)

    def eval(self, script: Argument, numkeys: int, *keys_and_args: Argument) -> IssuedT:
        """What the script returns; the first `numkeys` of the rest are keys."""
        return self._issue("EVAL", script, numkeys, *keys_and_args)


def _flattened(mapping: Mapping[str | bytes, Argument]) -> list[Argument]:
    return [part for pair in mapping.items() for part in pair]
