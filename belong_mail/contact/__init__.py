"""The contact form, and the threads of writers without an address."""
