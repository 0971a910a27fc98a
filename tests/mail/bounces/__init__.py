"""Reports: what comes back, in every spelling, and what must not pass for it."""
