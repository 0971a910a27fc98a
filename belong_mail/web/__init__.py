"""What views share: request context, forms, language, security headers, compression."""
