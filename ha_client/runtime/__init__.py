"""The client's awaiting half: connections to sentinels and master, and the public client."""
