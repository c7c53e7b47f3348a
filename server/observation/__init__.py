"""Watching a server at work: the slow log, the latency monitor, MONITOR, tracked keys. Pure."""

from __future__ import annotations

from .latency import LatencyMonitor
from .monitors import Monitors
from .slow_log import SlowLog, SlowLogEntry

__all__ = ["LatencyMonitor", "Monitors", "SlowLog", "SlowLogEntry"]
