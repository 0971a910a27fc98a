"""Real mail servers, started by hand: `python -m tests.relays` fetches and tries them."""
