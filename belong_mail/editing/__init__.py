"""Leads edit their group's page and welcome; the office keeps its name."""
