"""What comes back: bounces, complaints, and what follows from them."""
