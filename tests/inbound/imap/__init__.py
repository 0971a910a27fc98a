"""A mailbox that email comes back to: read by IMAP, once, whatever its server does."""
