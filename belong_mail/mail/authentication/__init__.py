"""A domain's SPF and DMARC records, and the verdict of a receiving server: for `doctor` alone."""

from collections.abc import Callable

# Looks up a name's records of a type, as texts. Raises DNSException.
Lookup = Callable[[str, str], list[str]]
