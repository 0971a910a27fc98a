"""Leads and office staff: sign-in, sessions, rights."""
