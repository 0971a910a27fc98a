"""Two web hosts and two worker hosts on one PostgreSQL, and what the whole costs."""
