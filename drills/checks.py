"""One thing that was looked at before something is done, and what was found. Pure."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Status(enum.Enum):
    """How a check ended."""

    FINE = "ok"
    NOTE = "note"
    FAULT = "FAULT"


@dataclass(frozen=True, slots=True)
class Check:
    """One line of a report."""

    subject: str
    status: Status
    found: str

    def __str__(self) -> str:
        return f"{self.status.value:<6}{self.subject}: {self.found}"
