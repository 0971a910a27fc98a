"""Whoever works the office's inbox answers people who gave no address."""
