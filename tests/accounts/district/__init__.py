"""Sign-in by the district's identity provider."""
