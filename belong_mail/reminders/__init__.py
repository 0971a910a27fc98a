"""The day-before reminder, for members who asked for it."""
