"""Accounts of leaders and office staff: sign-in, sessions, rights."""
