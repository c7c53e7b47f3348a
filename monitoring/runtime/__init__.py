"""The exporter: what asks servers and sentinels, and serves their metrics."""
