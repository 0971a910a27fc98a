"""The contact form and its threads."""
