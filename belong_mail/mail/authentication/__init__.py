"""Judge an email as its receivers do: SPF, DKIM, DMARC, reverse names. For `doctor` alone."""

from collections.abc import Callable

# Answers a name and a type of record with their texts; raises DNSException when it cannot.
Lookup = Callable[[str, str], list[str]]
