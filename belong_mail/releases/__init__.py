"""Releasing an issue, watching it go out, halting it, and what became of it."""
