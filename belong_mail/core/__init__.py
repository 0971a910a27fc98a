"""What every room stands on: database, encryption, jobs, tokens, links, rate limits, languages."""
