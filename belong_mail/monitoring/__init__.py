"""Monitoring: one table of checks, and the places that report it."""
