"""Mail itself: addresses, messages, the SMTP conversation; knows neither Flask nor a database."""
