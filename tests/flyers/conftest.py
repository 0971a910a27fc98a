"""The leads of two groups; the office gets its copies."""

from tests.leads.conftest import lead, other_lead, settings

__all__ = ["lead", "other_lead", "settings"]
