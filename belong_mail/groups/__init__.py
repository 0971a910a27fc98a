"""Groups: their words, questions, mailbox and identifying words."""
