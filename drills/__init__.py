"""Drills: a laboratory of real processes, one fault under load, and a verdict on what happened."""
