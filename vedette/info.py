"""The text that INFO answers: parsing of a peer's, rendering of our own.

Lines are `name:value`, sections begin with `# Title`, line ends are CRLF (Redis' `server.c:
genRedisInfoString`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping


def parse_info(text: bytes | str) -> dict[str, str]:
    """Return the fields of an INFO answer by name; a later field of the same name wins.

    Bytes that are not UTF-8 are replaced; lines without a colon and section titles are passed over.
    """
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    fields: dict[str, str] = {}
    for line in text.split("\n"):
        name, colon, value = line.rstrip("\r").partition(":")
        if colon and not name.startswith("#"):
            fields[name] = value
    return fields


def parse_info_line(value: str) -> dict[str, str]:
    """Return the `name=value` pairs of a compound field such as `slave0:ip=..,port=..`."""
    pairs = (item.partition("=") for item in value.split(","))
    return {name: content for name, equals, content in pairs if equals}


def render_section(title: str, fields: Mapping[str, object]) -> str:
    """Return one section with its title."""
    lines = [f"# {title}", *(f"{name}:{value}" for name, value in fields.items())]
    return "\r\n".join(lines) + "\r\n"


def render_sections(sections: Iterable[tuple[str, Mapping[str, object]]]) -> str:
    """Return sections joined by an empty line, as INFO answers them."""
    return "\r\n".join(render_section(title, fields) for title, fields in sections)
