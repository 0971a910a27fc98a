"""The office gets its copies."""

from tests.leads.conftest import settings

__all__ = ["settings"]
