"""What DNS says of a domain's email (SPF, DMARC), and a receiver of one: for `doctor` alone."""

from collections.abc import Callable

# Answers a name and a type of record with their texts; raises DNSException when it cannot.
Lookup = Callable[[str, str], list[str]]
