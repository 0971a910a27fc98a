"""Benchmarks: `python3 dev.py bench NAME` runs one of the modules here."""
