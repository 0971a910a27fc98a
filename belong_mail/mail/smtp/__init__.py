"""Speak SMTP: connections, sessions, replies, transports."""
