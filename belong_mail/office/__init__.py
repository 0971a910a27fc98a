"""The office's pages, and how a group ends."""
