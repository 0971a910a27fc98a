"""A lead's home, the group's page, questions, the shared mailbox."""
