"""What a key may hold.

A string is `bytes`. Each further type is to be a class of its own beside it, so that `type(value)`
tells types apart and a string costs nothing beyond its bytes.
"""

from __future__ import annotations

from typing import TypeAlias

Value: TypeAlias = bytes

#: The name TYPE reports, by Python type.
TYPE_NAMES: dict[type, bytes] = {bytes: b"string"}
