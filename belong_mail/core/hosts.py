"""Tell hosts and networks apart by name or address."""

import ipaddress

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def is_this_machine(host: str) -> bool:
    """Tell whether a name or address is the loopback's, which nobody else reaches."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
