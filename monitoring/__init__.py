"""Prometheus metrics of servers and sentinels, native or scraped."""
