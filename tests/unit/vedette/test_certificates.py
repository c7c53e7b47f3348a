"""When certificates expire, read from their own bytes."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
import trustme

from vedette.certificates import expiry_s

SOON, LATE = datetime(2031, 5, 6, 7, 8, 9, tzinfo=UTC), datetime(2061, 2, 3, tzinfo=UTC)


def certificate(until: datetime) -> str:
    authority = trustme.CA(key_type=trustme.KeyType.ECDSA)
    return authority.issue_cert("a.example", not_after=until).cert_chain_pems[0].bytes().decode()


@pytest.mark.parametrize("until", [SOON, LATE])
def test_end_is_read_in_both_spellings_of_time(until: datetime) -> None:
    """Up to 2049 years have two digits, later ones four."""
    assert expiry_s(certificate(until)) == until.timestamp()


def test_first_to_expire_of_a_chain_counts() -> None:
    """When an authority in between expires, nobody is trusted any more."""
    text = f"some words\n{certificate(LATE)}\n{certificate(SOON)}"

    assert expiry_s(text) == SOON.timestamp()
    assert expiry_s("no certificate at all") is None


def test_what_is_no_certificate_is_refused() -> None:
    """Also if its elements claim to be longer than they are."""
    body = "MIIB" * 4
    with pytest.raises(ValueError, match="no certificate"):
        expiry_s(f"-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----")
