"""My groups: what a person can do with all their memberships, behind a mailed link."""
