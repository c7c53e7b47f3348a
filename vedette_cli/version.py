"""`vedette version`."""

from __future__ import annotations

import platform

import click

from vedette import REDIS_VERSION, __version__


def version_text() -> str:
    """Return the version, the level of Redis it follows, and the Python it runs on."""
    return f"vedette {__version__} (Redis {REDIS_VERSION}, Python {platform.python_version()})"


@click.command()
def version() -> None:
    """Print the version, the level of Redis it follows, and the Python it runs on."""
    click.echo(version_text())
