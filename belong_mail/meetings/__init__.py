"""Meetings: their days, public calendar, feeds, planning and reminders."""
