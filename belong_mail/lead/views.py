"""A lead's first page: what waits, what runs, who is about."""

from flask import Blueprint, render_template
from flask_babel import get_locale

from belong_mail.accounts import service as accounts
from belong_mail.accounts.session import signed_in
from belong_mail.groups.cards import card
from belong_mail.interests import service as interests
from belong_mail.newsletters import service as newsletters
from belong_mail.parts import transaction
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
    return render_template("lead/home.html", groups=groups)
