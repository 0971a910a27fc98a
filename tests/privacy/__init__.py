"""Proofs that nobody learns who belongs, made with the product as it runs."""
