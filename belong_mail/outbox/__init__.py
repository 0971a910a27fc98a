"""Messages waiting, and whom we do not write to."""
