"""Tell hosts and networks apart by name or address."""

import ipaddress

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def is_loopback(host: str) -> bool:
    """Tell whether a host is this machine, which nobody else reaches."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def is_this_machine(host: str) -> bool:
    """Tell whether a browser takes a host for this machine (RFC 6761 6.3)."""
    return is_loopback(host) or host.endswith(".localhost")
