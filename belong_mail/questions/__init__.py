"""Leads propose the questions of their group's form; the office says yes or no."""
