"""Command line, backup, doctor, metrics, retention, alerts, keys, hold, schema, demo data."""
