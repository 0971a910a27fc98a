"""My groups: what one person holds, seen and changed behind a mailed link."""
