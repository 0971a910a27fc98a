"""Take in email that comes back, match it to a delivery, and end memberships that bounce."""
