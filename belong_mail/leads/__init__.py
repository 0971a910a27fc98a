"""A lead's home, the group's page, the shared mailbox."""
