"""Email that comes back: taken in, matched to its delivery, and what follows for a member."""
