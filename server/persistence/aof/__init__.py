"""The append-only file without its system calls: manifest, log, reading, what rebuilds a dataset."""
