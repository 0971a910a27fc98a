"""Speak IMAP: where a mailbox is, a bounded connection to it, its messages, OAuth tokens."""
