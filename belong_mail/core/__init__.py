"""The foundation of every room: database, encryption, jobs, tokens, links, limits, languages."""
