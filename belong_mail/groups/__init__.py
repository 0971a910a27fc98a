"""Groups: their texts, questions, shared mailbox and identifying words."""
