"""Compose messages: headers, MIME, Markdown, templates."""
