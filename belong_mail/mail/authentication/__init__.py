"""Check a domain's SPF and DMARC records and a receiving server's verdict, for `doctor`."""

from collections.abc import Callable

# Looks up a name's records of a type, as texts. Raises DNSException.
Lookup = Callable[[str, str], list[str]]
