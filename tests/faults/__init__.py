"""The fault matrix: whatever breaks between worker, relay and database, no copy is lost."""
