"""A lead's first page: what waits, what runs, who is about."""

from flask import Blueprint, abort, redirect, render_template, request, url_for
from flask_babel import get_locale
from werkzeug.wrappers import Response

from belong_mail import languages
from belong_mail.accounts import service as accounts
from belong_mail.accounts.session import signed_in
from belong_mail.current import transaction
from belong_mail.groups.cards import card
from belong_mail.interests import service as interests
from belong_mail.newsletters import service as newsletters
from belong_mail.releases import service as releases

lead = Blueprint("lead", __name__, url_prefix="/lead")


@lead.get("/")
def home() -> str:
    language = str(get_locale())
    with transaction() as session:
        groups = [
            {
                "card": card(group, language),
                "issues": [
                    (issue, releases.standing(session, issue).state)
                    for issue in newsletters.latest(session, group)
                ],
                "members": releases.rounded_members(session, group),
                "warmth": interests.warmth(session, group),
            }
            for group in accounts.groups_of(session, signed_in())
        ]
    account = signed_in()
    return render_template(
        "lead/home.html", groups=groups, mails_in=account.language, is_office=account.is_office
    )


@lead.post("/language")
def speak() -> Response:
    """Write to this lead in another language."""
    code = request.form.get("language", "")
    if code not in languages.NAMES:
        abort(400)
    with transaction() as session:
        accounts.speak(session, signed_in(), code)
    return redirect(url_for(".home", done="language"), 303)
