"""Sign-up, waiting list, my groups, personal addresses, reminders, and lists that move in."""
