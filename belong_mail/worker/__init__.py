"""The other process: it reads jobs and sends email."""
