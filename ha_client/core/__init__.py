"""The client's decisions, as plain functions of what was seen: no I/O, clock or randomness."""
