"""Keep the public pages that are the same for everybody, until what they show changes.

    @directory.get("/")
    @public
    @cached_by(GROUPS, SETTINGS)
    def index() -> str:

A view names what its page shows (`accounts.shown`). Each request reads these rows, which are few,
past the ORM, and compares their hash with that of the page that was kept: whoever wrote them, the
web, the worker, a command, a migration or another process, no page is old. What a page shows by
time changes with a whole minute (a day, the end of a meeting, a last day), so a page is built anew
each minute.

No browser keeps a page or a calendar of one group: another site of the district's can time whether
it has one, and learn who reads about the group.

Whoever comes with a cookie of ours, sends a form or asks for anything that a page does not know
gets a page of their own, which nobody keeps. The signed time of a `PublicForm` is left out of what
is kept.
"""

import gzip
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from threading import Lock
from typing import Any

from flask import Flask, Response, current_app, g, make_response, request
from flask.typing import ResponseReturnValue
from flask_babel import get_locale
from sqlalchemy import ColumnElement, Select, Text, cast, func, literal_column, select
from sqlalchemy.exc import DBAPIError

from belong_mail.core.db import CompiledStatement, now
from belong_mail.core.i18n import NAMES
from belong_mail.web.compression import LEVEL, MIN_OCTETS
from belong_mail.web.context import read_connection
from belong_mail.web.forms import signed_time

# Pages that a process keeps, at most: there are some hundred, and months without end.
MAX_PAGES = 200
LANGUAGE = "lang"
# The argument by which a calendar is of one group.
GROUP = "group"
# The parts of a path that say which group a page is of.
OF_A_GROUP = frozenset({"slug", "meeting_id"})
KEPT_HEADERS = ("Content-Type", "Content-Disposition")
OK = 200
View = Callable[..., ResponseReturnValue]
Key = tuple[str, ...]
# What reads the rows, by the kind of database.
Statements = dict[str, list[CompiledStatement]]
# The minute, and the hash of the rows.
Version = tuple[int, bytes]


@dataclass(frozen=True, slots=True)
class CachedPage:
    """A page, built from rows in a minute."""

    version: Version
    headers: dict[str, str]
    # What stands around the form's signed time; one part, where the page has no form.
    parts: tuple[bytes, ...]
    # The same by gzip; empty for a form, and for what is small.
    packed: bytes
    # Empty for a form: each answer differs.
    etag: str


class PageCache:
    """The pages that one process keeps; the oldest goes first."""

    def __init__(self) -> None:
        self._pages: dict[Key, CachedPage] = {}
        self._lock = Lock()

    def get(self, key: Key, version: Version) -> CachedPage | None:
        found = self._pages.get(key)
        return found if found is not None and found.version == version else None

    def put(self, key: Key, page: CachedPage) -> None:
        with self._lock:
            self._pages.pop(key, None)
            if len(self._pages) >= MAX_PAGES:
                del self._pages[next(iter(self._pages))]
            self._pages[key] = page

    def __len__(self) -> int:
        return len(self._pages)


def init_page_cache(app: Flask) -> None:
    app.extensions["page_cache"] = PageCache()


def cached_by(
    *shown: Any, arguments: frozenset[str] = frozenset(), minutes: int = 0
) -> Callable[[View], View]:
    """Keep a view's page until rows of these statements or models change.

    A statement may ask for the time, as `at`. The page may depend on these arguments of its URL,
    its path and its language. So many minutes a browser may show it again without asking us.
    """
    rows = [_rows(each) for each in shown]
    statements = {"sqlite": [*map(CompiledStatement, rows)], "postgresql": _hashes(rows)}

    def decorate(view: View) -> View:
        @wraps(view)
        def answer(**values: Any) -> ResponseReturnValue:
            if not _is_for_everybody(arguments):
                return view(**values)
            try:
                version = _version(statements)
            except DBAPIError:
                return view(**values)
            cache: PageCache = current_app.extensions["page_cache"]
            key = _key(arguments)
            page = cache.get(key, version)
            if page is None:
                response = make_response(view(**values))
                page = _page(response, version)
                if page is None or not _is_still(version, statements):
                    return response
                cache.put(key, page)
            return _response(page, minutes)

        vars(answer)["cached_by"] = tuple(map(_rows, shown))
        return answer

    return decorate


def _rows(shown: Any) -> Select[Any]:
    """Select every row, which SQLite hands over for less than it would compute anything of them."""
    if isinstance(shown, Select):
        return shown
    return select(shown.__table__).order_by(*shown.__table__.primary_key)


def _hashes(rows: list[Select[Any]]) -> list[CompiledStatement]:
    """Let PostgreSQL hash the rows: one question, and a short answer."""
    found = [_hash_of(each).scalar_subquery() for each in rows]
    return [CompiledStatement(select(*found))] if found else []


def _hash_of(rows: Select[Any]) -> Select[Any]:
    """Hash rows in the order of their first column, which is another in each."""
    shown = rows.order_by(None).subquery("shown")
    row = cast(literal_column("shown"), Text)
    between: ColumnElement[str] = literal_column(f"'' ORDER BY shown.{shown.c.keys()[0]}")
    text = func.convert_to(func.string_agg(row, between), literal_column("'UTF8'"))
    return select(func.sha256(text)).select_from(shown)


def _is_for_everybody(arguments: frozenset[str]) -> bool:
    """Tell whether a request says nothing of who asks, and asks for what the page knows."""
    given = request.args
    return (
        request.method in {"GET", "HEAD"}
        and not request.cookies
        and given.keys() <= {LANGUAGE, *arguments}
        and given.get(LANGUAGE, "en") in NAMES
        and all(len(each) == 1 for _, each in given.lists())
    )


def _key(arguments: frozenset[str]) -> Key:
    """Name a page: in the URL's language all its links are in that language too."""
    named = [request.args.get(each, "") for each in sorted(arguments)]
    return (request.path, str(get_locale()), request.args.get(LANGUAGE, ""), *named)


def _version(statements: Statements) -> Version:
    """Return the minute, and the hash of the rows; without tables nothing is read."""
    at = now()
    minute = int(at.timestamp() // 60)
    if not statements["sqlite"]:
        return minute, b""
    with read_connection() as connection:
        asked = statements[connection.dialect.name]
        rows = [each.run(connection, {"at": at})[0] for each in asked]
    return minute, hashlib.blake2b(repr(rows).encode(), digest_size=16).digest()


def _is_still(version: Version, statements: Statements) -> bool:
    """Tell whether nothing has changed while a page was built."""
    try:
        return _version(statements) == version
    except DBAPIError:
        return False


def keep_nothing() -> None:
    """Let nobody keep this answer: it says less than it should, while the database is silent."""
    g.is_incomplete = True


def _page(response: Response, version: Version) -> CachedPage | None:
    """Return what can be kept of an answer; None if it is an error or somebody's own."""
    tokens = g.get("signed_times", ())
    is_own = "csrf_token" in g or "account" in g or len(tokens) > 1
    if response.status_code != OK or is_own or g.get("is_incomplete", False):
        return None
    plain = response.get_data()
    kept = {name: response.headers[name] for name in KEPT_HEADERS if name in response.headers}
    if tokens:
        return CachedPage(version, kept, tuple(plain.split(tokens[0].encode())), b"", "")
    packed = gzip.compress(plain, LEVEL, mtime=0) if len(plain) >= MIN_OCTETS else b""
    etag = hashlib.sha256(plain).hexdigest()[:32]
    return CachedPage(version, kept, (plain,), packed, etag)


def _response(page: CachedPage, minutes: int) -> Response:
    """Answer with what was kept; or with nothing, where the browser has it and may keep it."""
    response = Response(headers=page.headers)
    if not page.etag:
        response.set_data(signed_time().encode().join(page.parts))
        return response
    response.vary.add("Accept-Encoding")
    if page.packed and request.accept_encodings.quality("gzip") > 0:
        response.set_data(page.packed)
        response.headers["Content-Encoding"] = "gzip"
    else:
        response.set_data(page.parts[0])
    if not _is_of_a_group():
        _let_browsers_keep(response, page.etag, minutes)
    return response


def _is_of_a_group() -> bool:
    return GROUP in request.args or not OF_A_GROUP.isdisjoint(request.view_args or ())


def _let_browsers_keep(response: Response, etag: str, minutes: int) -> None:
    """Let caches keep an answer, for so many minutes without asking us.

    Who signs in gets the page of a lead at once.
    """
    response.cache_control.public = True
    if minutes:
        response.cache_control.max_age = minutes * 60
    else:
        response.cache_control.no_cache = True
    response.vary.add("Cookie")
    response.set_etag(etag, weak=True)
    response.make_conditional(request)
