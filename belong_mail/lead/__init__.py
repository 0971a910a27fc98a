"""A lead's home."""
