"""The engine: what waits to be sent, leases, connections, pace."""
