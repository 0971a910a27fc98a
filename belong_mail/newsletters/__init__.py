"""Writing newsletters, sending them, and what became of them."""
