"""A domain's SPF and DMARC records, and the verdict of a receiving server: for `doctor` alone."""

from collections.abc import Callable

# Answers a name and a type of record with their texts; raises DNSException when it cannot.
Lookup = Callable[[str, str], list[str]]
