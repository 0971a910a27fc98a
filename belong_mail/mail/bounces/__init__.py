"""Parse bounces, complaints and automatic replies."""

from typing import Final

# Bytes of a message that are parsed; the rest is ignored.
MAX_OCTETS: Final = 256 * 1024
# Most recipients, return paths and Message-IDs that are kept of a message.
MAX_NAMED: Final = 20
