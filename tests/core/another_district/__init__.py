"""A district that is not Denver: made up, installed from the same code."""
