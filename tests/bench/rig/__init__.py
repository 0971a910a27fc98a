"""The parts of the benchmark of delivery: meters, the product, its peer, the table."""
