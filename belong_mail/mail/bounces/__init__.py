"""Read bounce reports and complaints."""

from typing import Final

# Octets of a message that are looked at.
MAX_OCTETS: Final = 256 * 1024
