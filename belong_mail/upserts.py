"""INSERT … ON CONFLICT, which each database has in a dialect of its own."""

from functools import cache
from importlib import import_module
from typing import Any


@cache
def inserting(dialect: str) -> Any:
    """Return the dialect's `insert`; the other's is not loaded, for it takes 3 MB."""
    return import_module(f"sqlalchemy.dialects.{dialect}").insert
