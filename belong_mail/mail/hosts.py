"""Tell this machine from others."""

import ipaddress


def is_loopback(host: str) -> bool:
    """Tell whether a host is this machine, which nobody else reaches."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
