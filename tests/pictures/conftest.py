"""The leads of two groups."""

from tests.leads.conftest import lead, other_lead

__all__ = ["lead", "other_lead"]
