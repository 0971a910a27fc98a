"""A person writes to DPS Belong."""
