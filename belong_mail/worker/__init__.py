"""The worker process: it reads jobs, does periodic tasks and sends email."""
