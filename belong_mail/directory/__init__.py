"""The directory and the groups' public pages."""
