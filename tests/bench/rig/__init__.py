"""The parts of the benchmark of delivery: meters, the product, its peers, the table."""
