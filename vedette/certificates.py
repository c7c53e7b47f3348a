"""Until when certificates are valid.

Python's ssl tells that of authorities, and of a peer's certificate, but not of one's own; so the
few fields before it are stepped over here (X.509: RFC 5280, 4.1; DER: ITU-T X.690). Pure: text in,
numbers out.
"""

from __future__ import annotations

import re
import ssl
from datetime import UTC, datetime
from typing import Final

_PEM: Final = re.compile(
    r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL | re.ASCII
)
_VERSION_TAG: Final = 0xA0
#: Of the two ways to write a time: tag -> its format.
_TIME_FORMATS: Final = {0x17: "%y%m%d%H%M%SZ", 0x18: "%Y%m%d%H%M%SZ"}


def expiry_s(pem: str) -> float | None:
    """Return when the first certificate in `pem` to expire does, Unix time; None without any.

    Raises:
        ValueError: one of them is no certificate.
    """
    found = [_not_after_s(ssl.PEM_cert_to_DER_cert(text)) for text in _PEM.findall(pem)]
    return min(found, default=None)


def _not_after_s(der: bytes) -> float:
    try:
        _, at, _ = _element(der, 0)  # Certificate
        _, at, _ = _element(der, at)  # TBSCertificate
        if der[at] == _VERSION_TAG:
            at = _element(der, at)[2]
        for _ in ("serialNumber", "signature", "issuer"):
            at = _element(der, at)[2]
        _, at, _ = _element(der, at)  # Validity
        at = _element(der, at)[2]  # notBefore
        tag, start, end = _element(der, at)
        text = der[start:end].decode("ascii")
        moment = datetime.strptime(text, _TIME_FORMATS[tag]).replace(tzinfo=UTC)
        return moment.timestamp()
    except (IndexError, KeyError) as error:
        raise ValueError("this is no certificate") from error


def _element(der: bytes, at: int) -> tuple[int, int, int]:
    """Return the tag of the element at `at`, where its content begins, and where it ends."""
    tag, length = der[at], der[at + 1]
    start = at + 2
    if length & 0x80:
        size = length & 0x7F
        length = int.from_bytes(der[start : start + size], "big")
        start += size
    if start + length > len(der):
        raise IndexError("an element goes beyond the end")
    return tag, start, start + length
