"""A row of the tables that make metrics of fields: one field, one number, one metric."""

from __future__ import annotations

from dataclasses import dataclass

from .families import Kind, Spec


@dataclass(frozen=True, slots=True)
class Row:
    """A field, its metric, and how many of the field's units make one of the metric's."""

    field: str
    spec: Spec
    divisor: float = 1.0


def row(field: str, kind: Kind, name: str, meaning: str, divisor: float = 1.0) -> Row:
    """Return the row of a metric that redis_exporter calls `redis_<name>`."""
    return Row(field, Spec(f"redis_{name}", kind, meaning), divisor)
