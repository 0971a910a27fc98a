"""What comes back: read, believed, and followed by what it should be."""
