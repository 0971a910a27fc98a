"""Compose messages, send them by SMTP, read bounces: without Flask, database or other rooms."""
