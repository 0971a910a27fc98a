"""The directory, onboarding, error pages, the development mailbox."""
