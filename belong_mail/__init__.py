"""Belong Mail: join a group of staff, read its newsletters and leave, without being seen."""
