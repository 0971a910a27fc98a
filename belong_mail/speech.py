"""The pages' language and words: chosen from the URL or the browser, without a cookie."""

import hashlib
from collections.abc import Callable
from datetime import datetime
from functools import cache, partial
from pathlib import Path
from zoneinfo import ZoneInfo

from babel.support import Translations
from flask import Flask, Response, g, request, url_for
from flask_babel import Babel, Domain, format_date, get_locale

from belong_mail import languages
from belong_mail.current import parts
from belong_mail.db import now
from belong_mail.parts import Settings
from belong_mail.tokens import Purpose

KEPT = {200, 206, 304}
Words = Callable[[datetime, str, ZoneInfo], str]


class PoDomain(Domain):
    """Reads the .po files themselves, once; nothing needs to be compiled."""

    def get_translations(self) -> Translations:
        return languages.catalog(str(get_locale() or languages.DEFAULT))


class Speech(Babel):
    domain_instance = PoDomain()


def speak(app: Flask, settings: Settings) -> None:
    """Choose each request's language and give the templates their words."""
    Speech(app, locale_selector=_chosen, default_locale=languages.DEFAULT)

    static = Path(app.static_folder or "")

    @app.url_defaults
    def keep_language(_endpoint: str, values: dict[str, object]) -> None:
        if request and request.args.get("lang") in languages.NAMES:
            values.setdefault("lang", request.args["lang"])

    @app.after_request
    def keep_static_files(response: Response) -> Response:
        if request.endpoint == "static":
            file = (request.view_args or {})["filename"]
            if response.status_code in KEPT and request.args.get("v") == version(static / file):
                response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        else:
            response.headers["Content-Language"] = str(get_locale())
            response.vary.add("Accept-Language")
        return response

    _give_words(app, settings)


def _give_words(app: Flask, settings: Settings) -> None:
    """Give the templates what every page says, and times in words."""
    static = Path(app.static_folder or "")

    @app.context_processor
    def words() -> dict[str, object]:
        return {
            "is_signed_in": "account" in g,
            "language": str(get_locale()),
            "text_direction": getattr(get_locale(), "text_direction", "ltr"),
            "languages": languages.NAMES,
            "language_url": lambda code, path="": f"{path or request.path}?lang={code}",
            "result_url": _result_url,
            "static": lambda file: url_for(
                "static", filename=file, v=version(static / file), lang=None
            ),
            "is_development": settings.is_development,
            "mail_from": settings.mail_from,
            "base_url": settings.base_url,
            "office_inbox": settings.contact_inbox,
        }

    def in_words(say: Words, moment: datetime) -> str:
        return say(moment, str(get_locale()), settings.timezone)

    app.jinja_env.filters["local_time"] = partial(in_words, languages.time_in_words)
    app.jinja_env.filters["local_month"] = lambda day: format_date(
        day, languages.MONTH[str(get_locale())]
    )
    app.jinja_env.filters["local_weekday"] = lambda day: format_date(day, "EEEE")
    app.jinja_env.filters["local_date"] = partial(in_words, languages.date_in_words)


def _result_url(result: tuple[str, int | str, str], code: str) -> str:
    """Return where a page that came of a press can be read in another language, for a day.

    The same press shows the same page, so the time is the day's.
    """
    today = now().replace(hour=0, minute=0, second=0, microsecond=0)
    signed = parts().tokens.sign(Purpose.RESULT, "~".join(map(str, result)), today)
    return url_for("directory.result", token=signed, lang=code)


@cache
def version(file: Path) -> str:
    """Return what changes when the file does; its URL holds it, so that browsers keep it."""
    return hashlib.sha256(file.read_bytes()).hexdigest()[:10]


def _chosen() -> str:
    """Take the language of the URL, else the browser's, else our own."""
    wanted = request.args.get("lang")
    if wanted in languages.NAMES:
        return wanted
    return languages.known(request.accept_languages.best_match(languages.NAMES))
