"""The journeys in a real browser, on the real web server and worker."""
