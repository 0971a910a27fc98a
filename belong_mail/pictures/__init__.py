"""The pictures of an issue: taken in, made harmless, and sent inside the mail."""
