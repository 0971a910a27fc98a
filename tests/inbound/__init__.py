"""Returned messages: read, believed, and followed by what it should be."""
