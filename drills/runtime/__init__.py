"""The part of the drills that waits: processes, connections, the clock and the terminal."""
