"""Operations: command line, setup, backup, retention, keys, hold, schema, demo data."""
