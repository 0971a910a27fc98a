"""Leads: who may write for a group."""
