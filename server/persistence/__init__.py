"""Snapshots and append-only files as bytes: pure codecs that know neither store nor files."""
