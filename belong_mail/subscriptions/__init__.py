"""Asking to join, confirming, leaving."""
