"""The guards, and what shows that each of them is watched: `python -m tests.guards [WORDS …]`."""
