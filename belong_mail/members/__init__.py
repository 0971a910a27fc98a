"""Sign-up, waiting list, self-service, reminders, and what bounces do to memberships."""
