"""Postpone what SQLAlchemy imports and a worker does not use: 3 MB. Import this module first."""

import inspect
import sys
from importlib import import_module
from types import ModuleType
from typing import Any


class PostponedModule(ModuleType):
    """Stands for a module, which is loaded when something of it is asked for."""

    def __getattr__(self, name: str) -> Any:
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(import_module(self.__name__), name)


def postpone(name: str, **known: object) -> None:
    """Put off loading a module, unless it is there; what is known of it needs no loading."""
    if name not in sys.modules:
        postponed = PostponedModule(name)
        vars(postponed).update(known)
        sys.modules[name] = postponed


postpone("asyncio", iscoroutine=inspect.iscoroutine)
postpone("importlib.metadata")
