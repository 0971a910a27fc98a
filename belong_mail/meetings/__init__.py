"""Meetings: their days, and the calendar that anyone may read unseen."""
