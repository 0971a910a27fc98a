"""Belong Mail: join a DPS Belong group, read its newsletters and leave, without being seen."""
