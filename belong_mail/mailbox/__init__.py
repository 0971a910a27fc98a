"""Development only: the mail that was sent, as a reader would see it."""
