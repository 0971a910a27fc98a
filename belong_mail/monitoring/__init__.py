"""Monitoring: one table of checks, and where each is reported."""
