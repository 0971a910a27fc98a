"""Meetings: recurrence, calendar pages and feeds, planning."""
