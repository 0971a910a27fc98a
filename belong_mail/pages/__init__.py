"""The directory, pages for new colleagues, error pages, and the development mailbox."""
