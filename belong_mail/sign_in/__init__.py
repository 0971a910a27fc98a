"""Signing in by a mailed link: POST, the browser that asked, ten minutes, once."""
