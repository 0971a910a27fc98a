"""Shared by all views: request context, forms, language, security headers, compression."""
