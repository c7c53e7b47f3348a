"""Vedette measured beside Redis, on the same machine in the same run. Reports; gates nothing."""
