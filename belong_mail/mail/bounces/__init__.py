"""Read bounce reports and complaints."""

from typing import Final

# Bytes of a message that are read.
MAX_OCTETS: Final = 256 * 1024
# How many recipients and paths are kept.
MAX_NAMED: Final = 20
