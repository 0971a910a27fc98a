"""Create the Flask app from the rooms' views."""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from flask import Flask, g, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_wtf import CSRFProtect
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.wrappers import Response as BaseResponse

from belong_mail.accounts import proof
from belong_mail.accounts import session as browsers
from belong_mail.accounts.service import NotFound
from belong_mail.accounts.views import account, passkey, sign_in
from belong_mail.contact.views import contact
from belong_mail.core.environment import RESOURCES
from belong_mail.core.services import Settings, make_services
from belong_mail.leads.views import group_settings, lead, shared_mailbox
from belong_mail.meetings.lead_views import lead_meetings
from belong_mail.meetings.views import meetings
from belong_mail.members.self_service_views import address_change, own_calendar, self_service
from belong_mail.members.views import personal_address, subscriptions, waiting_list
from belong_mail.monitoring.views import office_health, operating
from belong_mail.newsletters.editor_views import editor, flyers, pictures
from belong_mail.newsletters.release_views import approvals, office_newsletters, releases
from belong_mail.office.group_views import office_groups, office_imports
from belong_mail.office.views import office, office_trail, people
from belong_mail.ops import cli, hold
from belong_mail.pages.dev_mailbox import mailbox
from belong_mail.pages.directory import directory
from belong_mail.pages.errors import register_error_pages
from belong_mail.pages.onboarding import onboarding
from belong_mail.pages.signed_out import register_signed_out_pages
from belong_mail.web import access, compression, i18n, request_log, security_headers
from belong_mail.web.access import Access, SignedOut
from belong_mail.web.context import SAFE, CookieSessions, OwnRequest, transaction
from belong_mail.web.page import init_views

# Far more than any form may hold, so that a text that is too long is reported at its field, and
# still there.
MAX_BODY = 500_000


BLUEPRINTS = (
    directory, subscriptions, waiting_list, self_service, address_change, personal_address,
    contact, sign_in, account, passkey, lead, editor, pictures, flyers, releases, approvals,
    group_settings, shared_mailbox, office, office_groups,
    office_imports, office_newsletters, office_trail, people,
    onboarding, meetings, own_calendar, lead_meetings, office_health, operating,
)  # fmt: skip


class OurFlask(i18n.LocalizedFlask):
    def handle_user_exception(self, e: Exception) -> HTTPException | ResponseReturnValue:
        """Show an error's page, or if that reads a form that is too long, the page that says so."""
        try:
            return super().handle_user_exception(e)
        except RequestEntityTooLarge as too_long:
            return super().handle_user_exception(too_long)

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function; Flask would check each hook for a coroutine, but we have none."""
        return func


def create_app(settings: Settings) -> Flask:
    """Create the Flask app with its services, views, guards and error pages."""
    app = OurFlask(__name__, template_folder=str(RESOURCES / "templates"))
    app.request_class = OwnRequest
    app.session_interface = CookieSessions()
    app.config.update(
        SECRET_KEY=settings.secret_keys[-1],
        SECRET_KEY_FALLBACKS=list(settings.secret_keys[:-1]),
        MAX_CONTENT_LENGTH=MAX_BODY,
        MAX_FORM_MEMORY_SIZE=MAX_BODY,
        MAX_FORM_PARTS=100,
        TRUSTED_HOSTS=[urlsplit(settings.base_url).hostname, *security_headers.LOOPBACK],
        SESSION_COOKIE_NAME="belong" if settings.is_development else "__Host-belong",
        SESSION_COOKIE_SECURE=not settings.is_development,
        SESSION_COOKIE_SAMESITE="Lax",
        WTF_I18N_ENABLED=False,  # ours is `BaseForm.Meta.locales`
        WTF_CSRF_TIME_LIMIT=None,
        # Over https, it would require a Referer; `security_headers` checks where forms are from.
        WTF_CSRF_SSL_STRICT=False,
    )
    app.extensions["belong"] = make_services(settings)
    request_log.init_request_log(app)
    request_log.init_proxy_check(app, settings.proxies)
    csrf = _guard(app, settings)
    i18n.init_i18n(app, settings)
    compression.init_compression(app)
    for blueprint in BLUEPRINTS:
        app.register_blueprint(blueprint)
    if settings.is_development:
        app.register_blueprint(mailbox)
    if settings.oidc_client_id:
        from belong_mail.accounts import identity_views  # noqa: PLC0415 - few have a provider

        identity_views.init_district(app, settings)
    access.init_access(app, csrf)
    init_views(app)
    register_error_pages(app)
    register_signed_out_pages(app)
    cli.register(app.cli)
    return app


def _may_open() -> bool:
    """Return whether the signed-in person may open the requested page, by its view's marks."""
    marks = access.asked_for()
    if Access.OFFICE in marks:
        return bool(g.is_office)
    if Access.LEADS in marks:
        return bool(g.leads_any)
    return Access.ACCOUNTS in marks


def _guard(app: Flask, settings: Settings) -> CSRFProtect:
    """Refuse by default: by origin, then by access to the page, then by CSRF token.

    In this order, as reading the token reads the body. `pages.signed_out` keeps refused forms.
    """
    if settings.proxies:
        count = settings.proxies
        app.wsgi_app = ProxyFix(  # type: ignore[method-assign]
            app.wsgi_app, x_for=count, x_proto=count, x_host=0, x_port=0, x_prefix=0
        )
    opened = Access.PUBLIC | Access.DEVELOPMENT if settings.is_development else Access.PUBLIC
    csrf = CSRFProtect()
    security_headers.init_security_headers(app, settings)

    @app.before_request
    def require_login() -> BaseResponse | None:
        if request.endpoint is None or access.has_access(opened):
            return None
        with transaction() as session:
            account = browsers.current_account(session)
            g.is_on_hold = hold.is_on(session)
        if account is None and request.method in SAFE:
            browsers.remember_wanted()
            return redirect(url_for("sign_in.ask"))
        if account is None:
            raise SignedOut
        g.account = account
        if not _may_open():
            raise NotFound
        return None

    csrf.init_app(app)  # first: a form of someone else's is refused before a proof is asked for

    @app.before_request
    def require_fresh_proof() -> None:
        is_press = request.method not in SAFE
        if is_press and access.has_access(Access.FRESH_PROOF):
            proof.require_fresh()

    return csrf
