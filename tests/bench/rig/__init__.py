"""What the benchmark of delivery is made of: meters, the product, its peers, the table."""
