"""Servers that tests talk to, on free ports of this machine."""
