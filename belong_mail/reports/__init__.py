"""What mail servers and mailboxes write back: bounces, complaints, automatic replies."""
