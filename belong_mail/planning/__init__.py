"""Leads plan meetings: enter, change and cancel them, one day or all."""
