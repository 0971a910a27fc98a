"""Shared by all views: access, request context, forms, language, security headers, compression."""
