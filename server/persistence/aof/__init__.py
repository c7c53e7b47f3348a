"""The append-only file without system calls: manifest, log, reading, what rebuilds a dataset."""
