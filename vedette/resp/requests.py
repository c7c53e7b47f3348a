"""Parsing of requests as a server receives them: multibulk, inline, limits, Redis' error texts.

`RequestParser` turns received bytes into argument lists. Nearly all traffic is whole, well-formed
multibulk requests; those go through `hiredis.Reader`. It is lenient where Redis is strict (it takes
any type as an argument, and allocates an array as large as a header claims), so it sees only
data in which no header is long enough to be dangerous and no line begins like another type that
would pass for a request, and whatever it gives is checked to be arrays of strings. All else (inline
commands, large values, errors, requests that arrive in pieces, clients that have not authenticated)
goes through the strict parser in this module.

Behaviour and texts follow Redis 7.0 `networking.c: processInlineBuffer, processMultibulkBuffer`.
"""

from __future__ import annotations

import re
from collections import deque
from typing import Final, Literal

import hiredis

from ..conf.quoting import UnbalancedQuotesError, split_arguments
from ..errors import ProtocolError

INLINE_MAX_SIZE_BYTES: Final = 64 * 1024
MULTIBULK_MAX_COUNT: Final = 2**31 - 1
#: Limits on what a client may send before it has authenticated.
UNAUTHENTICATED_MAX_COUNT: Final = 10
UNAUTHENTICATED_MAX_BULK_BYTES: Final = 16384

#: A header for which hiredis would allocate a large array before an argument has come; it takes
#: arrays inside arrays without end, too, so that many headers in a row add up. Matching inside a
#: value is harmless: the strict parser gives the same requests.
_find_long_header: Final = re.compile(rb"\*\d{4}").search

#: A header of other types for which it would do so too.
_find_other_header: Final = re.compile(rb"\n[~%>|]\d").search

#: Data in which stars are so far from each other is searched for headers star by star.
_STAR_DISTANCE_BYTES: Final = 256

#: Of more requests the last is looked at first, whether it is cut: hiredis would tell only after it
#: has made all others. They take more than a receive, one in six of which ends behind some line.
_LONG_PIPELINE: Final = 64

#: Beginnings of lines of which a request has none, unless a value begins like that.
#: Without a number most are none that hiredis would take: the `>` of XREADGROUP is harmless.
_find_other_type: Final = re.compile(rb"\n(?:[+(]|[=~%>|][\d-])").search

#: Fed behind everything: if it comes back as itself, the data before it was whole requests. A
#: cached small integer, so that the comparison is one of identity.
_MARKER: Final = b":0\r\n"
_MARKER_VALUE: Final = 0

#: Longer data is not looked at as a single request.
_SINGLE_SIZE_LIMIT: Final = 512
#: The header of a request by the number of pieces that its line ends cut it into.
_HEADERS: Final = {2 * count + 2: b"*%d" % count for count in range(1, 64)}
#: The header of a value by its size.
_VALUE_HEADERS: Final = tuple(b"$%d" % size for size in range(_SINGLE_SIZE_LIMIT))

_INTEGER: Final = re.compile(rb"-?(0|[1-9]\d{0,18})")


class RequestParser:
    """The incoming half of one client's connection.

    `max_bulk_bytes` is `proto-max-bulk-len`. `is_authenticated` may be set at any time and governs
    the requests parsed from then on.
    """

    __slots__ = (
        "_arguments",
        "_arguments_bytes",
        "_buffer",
        "_is_authenticated",
        "_is_strict",
        "_missing",
        "_reader",
        "_value_size",
        "buffered_bytes",
        "is_pipelining",
        "max_bulk_bytes",
        "missing_bytes",
    )

    def __init__(self, *, max_bulk_bytes: int = 512 * 1024 * 1024) -> None:
        self.max_bulk_bytes = max_bulk_bytes
        self._is_authenticated = True
        #: Whether the next bytes are the strict parser's in any case.
        self._is_strict = False
        #: Whether the last data was exactly several requests, each begun by the only `*` at the
        #: start of a line. The next is likely to be such as well.
        self.is_pipelining = False
        self._reader = hiredis.Reader()
        #: Bytes received that no request has been made of yet.
        self._buffer = bytearray()
        #: The request in progress: arguments read, how many are missing, and the size of the next
        #: (-1: its header has not been read).
        self._arguments: list[bytes] = []
        self._arguments_bytes = 0
        self._missing = 0
        self._value_size = -1
        #: How much is held of requests that are not complete.
        self.buffered_bytes = 0
        #: How much has to come before the value in progress is complete; 0: there is none.
        self.missing_bytes = 0

    @property
    def is_authenticated(self) -> bool:
        """Whether the client may send requests of any size."""
        return self._is_authenticated

    @is_authenticated.setter
    def is_authenticated(self, is_authenticated: bool) -> None:
        self._is_authenticated = is_authenticated
        self._is_strict = bool(self._buffer or self._missing or not is_authenticated)

    def parse_single(self, data: bytes) -> list[bytes] | None:
        """Return the request that `data` exactly is, or None if it may be anything else.

        What clients that do not pipeline send, and so worth half a microsecond less than hiredis
        takes. A value with a line end in it makes another number of pieces, and no header fits.
        """
        if self._is_strict or self.is_pipelining or len(data) >= _SINGLE_SIZE_LIMIT:
            return None
        pieces = data.split(b"\r\n")
        count = len(pieces)
        if pieces[0] != _HEADERS.get(count) or pieces[-1]:
            return None
        headers = _VALUE_HEADERS
        if count == 6:  # two words, as nearly half of all requests have: 0.1 us less than the loop
            _, name_header, name, header, value, _ = pieces
            if name_header != headers[len(name)] or header != headers[len(value)]:
                return None
            return [name, value]
        words = pieces[2::2]
        place = 1
        for word in words:
            if pieces[place] != headers[len(word)]:
                return None
            place += 2
        return words

    def parse(self, data: bytes) -> tuple[list[list[bytes]], ProtocolError | None]:
        """Return the requests that `data` completes, and the error that ends the stream, if any.

        After an error the parser must not be used again; the requests before it are valid.
        Empty requests (`*0`, an empty line) are left out, as Redis ignores them.
        """
        self.is_pipelining = False
        if not self._is_strict:
            return self._parse_fresh(data)
        self._buffer += data
        if not self._is_authenticated:
            return self._parse_strictly()
        # Only the request in progress takes the slow way; with luck whole ones come behind it.
        requests, error = self._parse_strictly(is_for_one=True)
        if self._is_strict or error is not None or not self._buffer:
            return requests, error
        if self._buffer.find(b"\r\n*") < 0:  # another one at most
            more, error = self._parse_strictly()
        else:
            rest = bytes(self._buffer)
            self._buffer.clear()
            more, error = self._parse_fresh(rest)
            self.is_pipelining = False  # what was received is more than these
        return requests + more, error

    def _parse_fresh(self, data: bytes) -> tuple[list[list[bytes]], ProtocolError | None]:
        """Do as `parse` with data at whose start no request is in progress."""
        if data[:1] != b"*":
            plain = _plain_lines(data)
            if plain is not None:
                return plain, None
            self._buffer += data
            return self._parse_strictly()
        count = _count_headers(data)
        if not count:
            self._buffer += data
            return self._parse_strictly()
        if not data.endswith(b"\r\n") or (count > _LONG_PIPELINE and not _ends_whole(data)):
            return self._parse_piece(data, count)
        requests = self._parse_whole(data, count) or _parse_checked(data)
        if requests is not None:
            return requests, None
        return self._parse_piece(data, count)

    def _parse_piece(
        self, data: bytes, count: int
    ) -> tuple[list[list[bytes]], ProtocolError | None]:
        """Do as `parse` with data that ends in the midst of a request: the last of a long pipeline.

        All before it are whole, unless a value that holds what looks like a header is cut.
        """
        cut = data.rfind(b"\r\n*") + 2
        whole = self._parse_whole(data[:cut], count - 1) if count > 1 else None
        if whole is None and count > 1 and (requests := _parse_checked(data)) is not None:
            return requests, None  # it was a value that made the last one seem cut
        self.is_pipelining = False  # what was received is more than these
        self._buffer += data if whole is None else data[cut:]
        more, error = self._parse_strictly()
        return (whole or []) + more, error

    def _parse_whole(self, data: bytes, count: int) -> list[list[bytes]] | None:
        """Return the requests that `data` exactly is, or None if it may be anything else.

        hiredis gives all of them as one array, with no Python code run for each, which is a little
        less work; above all it shows that nothing but these requests came, so that the engine can
        tell of them with the bytes that they are. Their number, `count`, is a guess: a value may
        hold what looks like a header.
        """
        may_have_other_types = _may_have_other_types(data)
        if may_have_other_types and _find_other_type(data) is not None:
            return None
        reader = self._reader
        try:
            reader.feed(b"*%d\r\n%b" % (count, data))
            requests: list[list[bytes]] | Literal[False] = reader.gets()
            # Raises TypeError unless every argument of every request is a string.
            if requests is not False and not reader.has_data() and all(map(b"".join, requests)):
                # What follows a value is not looked at by hiredis. If that is no end of a line,
                # another type may stand behind it, unseen above; and there is a line end too few.
                if may_have_other_types and _line_count(requests) != data.count(b"\r\n"):
                    return None
                self.is_pipelining = len(requests) > 1
                return requests
        except (hiredis.HiredisError, TypeError):
            pass  # looked at more closely by the caller
        self._reader = hiredis.Reader()
        return None

    def _parse_strictly(
        self, *, is_for_one: bool = False
    ) -> tuple[list[list[bytes]], ProtocolError | None]:
        """Parse what is in the buffer, or only up to the end of the first request in it."""
        requests: list[list[bytes]] = []
        position = 0
        buffer = self._buffer
        try:
            while position < len(buffer) and not (is_for_one and requests):
                if self._missing:
                    position = self._take_arguments(position)
                    if self._missing:
                        break
                elif buffer[position] == 42:  # "*"
                    end = self._line_end(position, b"too big mbulk count string")
                    if end < 0:
                        break
                    self._missing = max(0, self._multibulk_count(bytes(buffer[position + 1 : end])))
                    position = end + 2
                    if self._missing:
                        continue
                else:
                    end = buffer.find(b"\n", position)
                    if end < 0:
                        if len(buffer) - position > INLINE_MAX_SIZE_BYTES:
                            raise ProtocolError("Protocol error: too big inline request")
                        break
                    self._arguments = self._inline_arguments(bytes(buffer[position:end]))
                    position = end + 1
                if self._arguments:
                    requests.append(self._arguments)
                    self._arguments = []
                    self._arguments_bytes = 0
        except ProtocolError as error:
            return requests, error
        finally:
            del buffer[:position]
            self.buffered_bytes = len(buffer) + self._arguments_bytes
            # Not what is left behind the one request: that is looked at afresh.
            is_begun = bool(buffer) and not (is_for_one and requests)
            self._is_strict = bool(is_begun or self._missing or not self._is_authenticated)
            size = self._value_size
            self.missing_bytes = max(0, size + 2 - len(buffer)) if size >= 0 else 0
        return requests, None

    def _line_end(self, position: int, too_big: bytes) -> int:
        """Return where the header at `position` ends, or -1 when its end has not arrived."""
        end = self._buffer.find(b"\r", position)
        if end < 0:
            if len(self._buffer) - position > INLINE_MAX_SIZE_BYTES:
                raise ProtocolError(f"Protocol error: {too_big.decode()}")
            return -1
        return end if end + 1 < len(self._buffer) else -1

    def _multibulk_count(self, text: bytes) -> int:
        count = _strict_integer(text)
        if count is None or count > MULTIBULK_MAX_COUNT:
            raise ProtocolError("Protocol error: invalid multibulk length")
        if not self._is_authenticated and count > UNAUTHENTICATED_MAX_COUNT:
            raise ProtocolError("Protocol error: unauthenticated multibulk length")
        return count

    def _take_arguments(self, position: int) -> int:
        """Read arguments of the request in progress; return the position after what was used."""
        buffer = self._buffer
        while self._missing:
            if self._value_size < 0:
                if position >= len(buffer):
                    break
                end = self._line_end(position, b"too big bulk count string")
                if end < 0:
                    break
                if buffer[position] != 36:  # "$"
                    found = chr(buffer[position])
                    raise ProtocolError(f"Protocol error: expected '$', got '{found}'")
                self._value_size = self._bulk_size(bytes(buffer[position + 1 : end]))
                position = end + 2
            end = position + self._value_size
            if len(buffer) < end + 2:
                break
            with memoryview(buffer) as view:  # else it would be copied twice
                self._arguments.append(bytes(view[position:end]))
            self._arguments_bytes += self._value_size
            position = end + 2
            self._missing -= 1
            self._value_size = -1
        return position

    def _bulk_size(self, text: bytes) -> int:
        size = _strict_integer(text)
        if size is None or size < 0 or size > self.max_bulk_bytes:
            raise ProtocolError("Protocol error: invalid bulk length")
        if not self._is_authenticated and size > UNAUTHENTICATED_MAX_BULK_BYTES:
            raise ProtocolError("Protocol error: unauthenticated bulk length")
        return size

    @staticmethod
    def _inline_arguments(line: bytes) -> list[bytes]:
        if len(line) > INLINE_MAX_SIZE_BYTES:
            raise ProtocolError("Protocol error: too big inline request")
        try:
            return split_arguments(line.removesuffix(b"\r"))
        except UnbalancedQuotesError as error:
            raise ProtocolError("Protocol error: unbalanced quotes in request") from error


def _may_have_other_types(data: bytes) -> bool:
    """Return whether there is a byte in `data` with which another type begins."""
    # A byte is found ten times faster by its number.
    return (
        43 in data  # +, =, (: hiredis would give them as strings
        or 61 in data
        or 40 in data
        or 126 in data  # ~, %, >, |: and these as requests
        or 37 in data
        or 62 in data
        or 124 in data
    )


def _ends_whole(data: bytes) -> bool:
    """Return whether the last request in `data` seems to have all its lines."""
    last = data[data.rfind(b"\n*") + 1 :]
    value_count, has_header = divmod(last.count(b"\r\n"), 2)
    return bool(has_header) and last.startswith(b"*%d\r\n" % value_count)


def _parse_checked(data: bytes) -> list[list[bytes]] | None:
    """Return the requests that `data` exactly is, or None if it may be anything else.

    For data in which lines begin like headers or like other types, as values do that are requests
    themselves, or `+`, or `~`. hiredis would take the types too, so where there may be some, what
    it gives is encoded again: that takes a fifth of the time that the strict parser does.
    """
    if _find_other_header(data) is not None:
        return None
    reader = hiredis.Reader()
    reader.feed(data + _MARKER)
    requests: list[list[bytes]] = []
    try:
        while (request := reader.gets()) is not _MARKER_VALUE:
            if request is False:
                return None  # incomplete
            requests.append(request)
        if reader.has_data():
            return None  # an integer that looks like the marker
        if not _may_have_other_types(data):
            deque(map(b"".join, requests), maxlen=0)  # TypeError unless all are arrays of strings
        elif _encoded(requests) != data:
            return None
    except (hiredis.HiredisError, TypeError):
        return None
    return [request for request in requests if request]


def _encoded(requests: list[list[bytes]]) -> bytes:
    """Return what `requests` are encoded as. Raises TypeError unless all are lists of strings."""
    lines: list[bytes] = []
    for words in requests:
        size = 2 * len(words) + 1
        part: list[bytes] = [b"*%d" % len(words)] * size
        try:
            part[1::2] = map(_VALUE_HEADERS.__getitem__, map(len, words))
        except IndexError:  # a long value
            part[1::2] = [b"$%d" % len(word) for word in words]
        part[2::2] = words
        lines += part
    return b"\r\n".join(lines) + b"\r\n"


def _line_count(requests: list[list[bytes]]) -> int:
    """Return how many lines `requests` take whose values have no line end in them."""
    return len(requests) + 2 * sum(map(len, requests))


def _count_headers(data: bytes) -> int:
    """Return how many lines of `data`, which begins with `*`, do; 0: a header may be too long.

    Where large values leave few stars it is the faster to go from one to the next.
    """
    if data.find(b"*", 1, _STAR_DISTANCE_BYTES) < 0:
        count = 1
        star = 0
        for _ in range(len(data) // _STAR_DISTANCE_BYTES + 1):
            if _find_long_header(data, star, star + 5) is not None:
                return 0
            star = data.find(b"*", star + 1)
            if star < 0:
                return count
            count += data[star - 2 : star] == b"\r\n"
    return 0 if _find_long_header(data) is not None else data.count(b"\r\n*") + 1


def _plain_lines(data: bytes) -> list[list[bytes]] | None:
    """Return the inline requests that `data` exactly is; None: it takes a closer look.

    Those that monitoring scripts and redis-benchmark's PING_INLINE send, in a third of the time.
    """
    if data[-1:] != b"\n" or len(data) > INLINE_MAX_SIZE_BYTES:
        return None
    # What `split_arguments` splits otherwise than `split` does; five times `in` is quick.
    if b'"' in data or b"'" in data or b"\0" in data or b"\v" in data or b"\f" in data:
        return None
    lines = data.split(b"\n")
    if b"*" in data and any(line[:1] == b"*" for line in lines):
        return None
    return [words for line in lines if (words := line.split())]


def _strict_integer(text: bytes) -> int | None:
    """Return the integer that `text` spells as Redis' `string2ll` takes it, or None."""
    if _INTEGER.fullmatch(text) is None or text == b"-0":
        return None
    value = int(text)
    return value if -(2**63) <= value < 2**63 else None
