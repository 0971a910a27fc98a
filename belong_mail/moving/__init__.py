"""Moving: a member's groups go with them to a new address."""
