"""Belong Mail as a district runs it: installed by the guide, behind TLS, as two users."""
