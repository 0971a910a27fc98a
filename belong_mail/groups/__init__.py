"""What a group is."""
