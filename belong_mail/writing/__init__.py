"""Writing an issue: the composer, its preview and its checklist."""
