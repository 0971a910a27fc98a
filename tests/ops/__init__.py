"""Operators' troubles: copies, full disks, locked databases, clocks that jump."""
