"""Being told, once, when an upcoming group starts."""
