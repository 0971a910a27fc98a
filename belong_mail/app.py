"""create_app: the one place where parts are joined."""

from pathlib import Path
from urllib.parse import urlsplit

from flask import Flask, abort, g, redirect, request, url_for
from flask_wtf import CSRFProtect
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.wrappers import Response as BaseResponse

from belong_mail import cli, compression, headers, speech
from belong_mail.accounts import session as browsers
from belong_mail.contact.views import contact
from belong_mail.current import transaction
from belong_mail.directory.views import directory
from belong_mail.editing.views import editing
from belong_mail.errors import register_error_pages
from belong_mail.hold import service as hold
from belong_mail.interests.views import interests
from belong_mail.lead.views import lead
from belong_mail.mailbox.views import mailbox
from belong_mail.meetings.views import meetings
from belong_mail.memberships.views import memberships
from belong_mail.moving.views import moving
from belong_mail.newcomers.views import newcomers
from belong_mail.office.views import office
from belong_mail.operating.views import operating
from belong_mail.parts import Settings, make_parts
from belong_mail.pictures.views import pictures
from belong_mail.planning.views import planning
from belong_mail.questions.views import questions
from belong_mail.releases.views import releases
from belong_mail.shared_mailbox.views import shared_mailbox
from belong_mail.sign_in.views import sign_in
from belong_mail.subscriptions.views import subscriptions
from belong_mail.writing.views import writing

ROOT = Path(__file__).resolve().parent.parent
MAX_BODY = 256 * 1024
BLUEPRINTS = (
    directory, subscriptions, interests, memberships, moving, contact, sign_in, lead, writing,
    pictures, releases, editing, questions, shared_mailbox, office, newcomers,
    meetings, planning, operating,
)  # fmt: skip

PUBLIC = {
    "static", "directory.index", "directory.group", "directory.privacy", "directory.healthz",
    "directory.readyz", "directory.accessibility", "directory.robots", "directory.security",
    "directory.favicon", "directory.result", "subscriptions.join", "subscriptions.check_your_inbox",
    "subscriptions.confirm", "subscriptions.not_me", "subscriptions.leave", "subscriptions.undo",
    "subscriptions.one_click", "contact.write", "contact.received", "contact.answer",
    "sign_in.ask", "sign_in.sent", "sign_in.confirm",
    "subscriptions.pause", "subscriptions.language", "memberships.ask", "memberships.sent",
    "memberships.sheet", "memberships.leave", "memberships.undo", "memberships.pause",
    "memberships.language", "memberships.copy", "memberships.erase", "moving.ask",
    "moving.confirm", "shared_mailbox.confirm", "interests.ask", "interests.noted",
    "interests.forget", "newcomers.index", "newcomers.sheet", "newcomers.mail",
    "newcomers.draft", "newcomers.poster", "newcomers.short", "operating.metrics",
    "meetings.calendar", "meetings.month", "meetings.feed", "meetings.group_feed",
    "meetings.event", "subscriptions.remind", "memberships.remind",
}  # fmt: skip
"""Pages for anyone; every other page is refused to strangers."""
DEVELOPMENT = {"mailbox.index", "mailbox.mail", "mailbox.html"}
WITHOUT_COOKIE = {
    "subscriptions.join", "subscriptions.confirm", "subscriptions.not_me", "subscriptions.leave",
    "subscriptions.undo", "subscriptions.one_click", "contact.write", "sign_in.ask",
    "sign_in.confirm", "subscriptions.pause", "subscriptions.language", "memberships.ask",
    "memberships.leave", "memberships.undo", "memberships.pause", "memberships.language",
    "memberships.copy", "memberships.erase", "moving.ask", "moving.confirm",
    "shared_mailbox.confirm", "contact.answer",
    "interests.ask", "interests.forget",
    "subscriptions.remind", "memberships.remind",
}  # fmt: skip
"""Forms whose authority is a signed link, or who need none: a signed time guards them."""


def create_app(settings: Settings) -> Flask:
    """Join the parts."""
    app = Flask(__name__, template_folder=str(ROOT / "templates"))
    app.config.update(
        SECRET_KEY=settings.secret_keys[-1],
        SECRET_KEY_FALLBACKS=list(settings.secret_keys[:-1]),
        MAX_CONTENT_LENGTH=MAX_BODY,
        MAX_FORM_MEMORY_SIZE=MAX_BODY,
        MAX_FORM_PARTS=100,
        TRUSTED_HOSTS=_hosts(settings.base_url),
        SESSION_COOKIE_NAME="belong" if settings.is_development else "__Host-belong",
        SESSION_COOKIE_SECURE=not settings.is_development,
        SESSION_COOKIE_SAMESITE="Lax",
        WTF_CSRF_TIME_LIMIT=None,
    )
    app.extensions["belong"] = make_parts(settings)
    _guard(app, settings)
    speech.speak(app, settings)
    compression.compress(app, frozenset(PUBLIC))
    for blueprint in BLUEPRINTS:
        app.register_blueprint(blueprint)
    if settings.is_development:
        app.register_blueprint(mailbox)
    register_error_pages(app)
    cli.register(app)
    return app


def _hosts(base_url: str) -> list[str]:
    """The Host headers we answer to; no link is ever built from one."""
    return [urlsplit(base_url).hostname or "", "localhost", "127.0.0.1", "[::1]"]


def _guard(app: Flask, settings: Settings) -> None:
    """Refuse strangers by default: by origin, by page, by token.

    In this order: the token stands in the body, which is read for nobody else.
    """
    if settings.proxies:
        count = settings.proxies
        app.wsgi_app = ProxyFix(  # type: ignore[method-assign]
            app.wsgi_app, x_for=count, x_proto=count, x_host=0, x_port=0, x_prefix=0
        )
    open_pages = PUBLIC | DEVELOPMENT if settings.is_development else PUBLIC
    csrf = CSRFProtect()
    headers.guard(app, settings.base_url)

    @app.before_request
    def refuse_strangers() -> BaseResponse | None:
        if request.endpoint is None or request.endpoint in open_pages:
            return None
        with transaction() as session:
            account = browsers.current(session)
            g.is_on_hold = hold.is_on(session)
        if account is None and request.method in headers.SAFE:
            return redirect(url_for("sign_in.ask"))
        g.account = account or abort(403)
        return None

    for endpoint in WITHOUT_COOKIE:
        blueprint, _, view = endpoint.partition(".")
        csrf.exempt(f"belong_mail.{blueprint}.views.{view}")
    csrf.init_app(app)
