"""Splitting of lines into arguments, and quoting, as Redis' `sds.c: sdssplitargs, sdscatrepr`.

Used by configuration files and by inline commands alike.
"""

from __future__ import annotations

import re

_ESCAPES = {
    ord("n"): b"\n",
    ord("r"): b"\r",
    ord("t"): b"\t",
    ord("b"): b"\b",
    ord("a"): b"\a",
}
_SPELLINGS = {
    ord("\\"): b"\\\\",
    ord('"'): b'\\"',
    ord("\n"): b"\\n",
    ord("\r"): b"\\r",
    ord("\t"): b"\\t",
    ord("\a"): b"\\a",
    ord("\b"): b"\\b",
}
_SPACE = b" \n\r\t\v\f\0"
#: What ends a word without quotes: not all that may stand between words.
_WORD_END = b" \n\r\t\0"
#: A line without any of these is split as Python splits bytes.
_UNUSUAL = re.compile(rb"[\"'\0\v\f]")


class UnbalancedQuotesError(ValueError):
    """A quote is not closed, or a closing quote is not followed by a space."""


def split_arguments(line: bytes) -> list[bytes]:
    """Return the arguments of `line`.

    Double quotes allow `\\n \\r \\t \\b \\a \\xHH` and an escaped quote; single quotes only `\\'`.

    Raises:
        UnbalancedQuotesError: the quoting is wrong.
    """
    if _UNUSUAL.search(line) is None:
        return line.split()
    arguments: list[bytes] = []
    position = 0
    size = len(line)
    while True:
        while position < size and line[position] in _SPACE:
            position += 1
        if position >= size:
            return arguments
        argument, position = _one_argument(line, position)
        arguments.append(argument)


def _one_argument(line: bytes, position: int) -> tuple[bytes, int]:
    argument = bytearray()
    size = len(line)
    while position < size and line[position] not in _WORD_END:
        character = line[position]
        if character in b"\"'":
            content, position = _quoted(line, position + 1, character)
            argument += content
            if position < size and line[position] not in _SPACE:
                raise UnbalancedQuotesError("closing quote must be followed by a space")
            return bytes(argument), position
        argument.append(character)
        position += 1
    return bytes(argument), position


def _quoted(line: bytes, position: int, quote: int) -> tuple[bytes, int]:
    content = bytearray()
    size = len(line)
    is_double = quote == ord('"')
    while position < size:
        character = line[position]
        if character == quote:
            return bytes(content), position + 1
        if character == ord("\\") and position + 1 < size:
            following = line[position + 1]
            if is_double:
                if following == ord("x") and _is_hex(line[position + 2 : position + 4]):
                    content.append(int(line[position + 2 : position + 4], 16))
                    position += 4
                    continue
                content += _ESCAPES.get(following, bytes([following]))
                position += 2
                continue
            if following == quote:
                content.append(quote)
                position += 2
                continue
        content.append(character)
        position += 1
    raise UnbalancedQuotesError("unterminated quotes")


def _is_hex(digits: bytes) -> bool:
    return len(digits) == 2 and all(digit in b"0123456789abcdefABCDEF" for digit in digits)


def quote_argument(value: bytes) -> bytes:
    """Return `value` in double quotes so that `split_arguments` gives it back."""
    spelt = bytearray(b'"')
    for byte in value:
        if byte in _SPELLINGS:
            spelt += _SPELLINGS[byte]
        elif 32 <= byte < 127:
            spelt.append(byte)
        else:
            spelt += b"\\x%02x" % byte
    return bytes(spelt + b'"')


def split_words(line: str) -> list[str]:
    """Return the words of a configuration line; bytes that are not UTF-8 become surrogates.

    Raises:
        UnbalancedQuotesError: the quoting is wrong.
    """
    return [decode_word(word) for word in split_arguments(encode_word(line))]


def quote_word(word: str) -> str:
    """Return `word` as written into a configuration file: in quotes only where it needs them."""
    is_plain = all("!" <= character <= "~" and character not in "\"'#\\" for character in word)
    if word and is_plain:
        return word
    return quote_argument(encode_word(word)).decode("ascii")


def encode_word(word: str) -> bytes:
    """Return the bytes that a configuration word stands for."""
    return word.encode("utf-8", "surrogateescape")


def decode_word(word: bytes) -> str:
    """Return the text of a word; `encode_word` gives exactly these bytes back."""
    return word.decode("utf-8", "surrogateescape")
