"""TLS as asked for on the command line: what it takes, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from monitoring.runtime.tls_options import TlsOptions
from monitoring.targets import parse_target
from vedette.runtime.tls import TlsError
from vedette_cli.main import cli

PLAIN, OVER_TLS = parse_target("redis://db1:6379"), parse_target("rediss://db1:6379")


def options(
    *,
    is_wanted: bool = False,
    certificate_file: str | None = None,
    key_file: str | None = None,
    is_insecure: bool = False,
) -> TlsOptions:
    return TlsOptions(
        is_wanted=is_wanted,
        authority_file=None,
        authority_directory=None,
        certificate_file=certificate_file,
        key_file=key_file,
        is_insecure=is_insecure,
    )


def test_a_plain_target_needs_no_context_and_gets_none() -> None:
    assert options().context_for(PLAIN) is None
    assert options(is_insecure=True).context_for(PLAIN) is None


def test_a_target_over_tls_is_not_asked_while_nobody_is_trusted() -> None:
    """A password would go to whoever sits at the address."""
    with pytest.raises(TlsError, match="must say whom to trust"):
        options().context_for(OVER_TLS)
    assert options(is_insecure=True).context_for(OVER_TLS) is not None


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (options(is_wanted=True), "must say whom to trust"),
        (options(certificate_file="cert"), "--cert and --key go together"),
        (options(key_file="key", is_insecure=True), "--cert and --key go together"),
    ],
)
def test_options_that_do_not_fit_together_are_refused(given: TlsOptions, reason: str) -> None:
    with pytest.raises(TlsError, match=reason):
        given.context()


@pytest.mark.parametrize("command", [["exporter"], ["doctor", "--sentinel", "db1:26379"]])
def test_a_certificate_that_cannot_be_used_is_told_in_a_line(
    command: list[str], tmp_path: Path
) -> None:
    """With --insecure, too, where only our own certificate is read."""
    for name in ("cert", "key"):
        (tmp_path / name).write_text("nonsense")
    files = ["--cert", str(tmp_path / "cert"), "--key", str(tmp_path / "key")]
    result = CliRunner().invoke(cli, [*command, "--insecure", *files])

    assert result.exit_code in (1, 2)
    assert isinstance(result.exception, SystemExit)
    assert "cannot be used" in result.output
