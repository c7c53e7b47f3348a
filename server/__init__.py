"""The datastore: a Redis-compatible server that replicates."""
