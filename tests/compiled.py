"""Compiled once for all apps and engines of a test process: templates, URLs, statements."""

from collections.abc import Callable
from types import CodeType
from typing import Any

from flask import Flask
from jinja2 import BytecodeCache
from jinja2.bccache import Bucket
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from werkzeug.routing import Rule

from belong_mail.core import i18n

PATHS: dict[tuple[object, ...], dict[str, Any]] = {}
BUILDERS: dict[tuple[object, ...], Callable[..., tuple[str, str]]] = {}
STATEMENTS: dict[Any, Any] = {}


def compile_once() -> None:
    """Let each app and each engine that is made from now on take what another has compiled.

    One app, as it is served, compiles each of them once as well; here every test has its own.
    """
    Flask.jinja_options["bytecode_cache"] = Templates()
    Flask.url_rule_class = Url
    registry.register("sqlite", __name__, "Sqlite")
    registry.register("postgresql.psycopg", __name__, "Postgresql")


class Templates(BytecodeCache):
    """In memory, by name, source, language and the site's names, which its words contain."""

    def __init__(self) -> None:
        self._code: dict[tuple[object, ...], CodeType | None] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        bucket.code = self._code.get(_key(bucket))

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._code[_key(bucket)] = bucket.code


def _key(bucket: Bucket) -> tuple[object, ...]:
    language = vars(bucket.environment)["language"]
    return bucket.key, bucket.checksum, language, i18n.names()


class Url(Rule):
    """Knows from another app how a path of the same words is read and put together."""

    def compile(self) -> None:
        key = (self.rule, self.subdomain, self.host, repr(self.defaults), self.merge_slashes)
        if key not in PATHS:
            super().compile()
            read = ("_parts", "_trace", "_converters", "arguments")
            PATHS[key] = {name: getattr(self, name) for name in read}
            return
        self.__dict__ |= PATHS[key]
        self._build = self._compile_builder(append_unknown=False).__get__(self, None)
        self._build_unknown = self._compile_builder(append_unknown=True).__get__(self, None)

    def _compile_builder(self, append_unknown: bool = True) -> Callable[..., tuple[str, str]]:  # noqa: FBT001, FBT002 - Werkzeug's
        key = (self.rule, self.subdomain, repr(self.defaults), append_unknown)
        if key not in BUILDERS:
            BUILDERS[key] = super()._compile_builder(append_unknown)
        return BUILDERS[key]


class Alike:
    """Dialects of one class are equal, so that a statement is known by any engine."""

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self)

    def __hash__(self) -> int:
        return hash(type(self))

    @classmethod
    def engine_created(cls, engine) -> None:
        engine.update_execution_options(compiled_cache=STATEMENTS)


class Sqlite(Alike, SQLiteDialect_pysqlite):
    supports_statement_cache = True


class Postgresql(Alike, PGDialect_psycopg):
    supports_statement_cache = True
