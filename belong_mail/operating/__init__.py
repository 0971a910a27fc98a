"""What an operator looks at and keeps: copies, checks, figures."""
