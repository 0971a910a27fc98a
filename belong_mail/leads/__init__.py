"""A leader's home, their group's page, and the group's shared mailbox."""
