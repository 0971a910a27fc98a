"""Read a mailbox by IMAP, over a bounded connection, with a password or an OAuth token."""
