"""Sign-up, waiting list, self-service, personal addresses, reminders, and imported lists."""
