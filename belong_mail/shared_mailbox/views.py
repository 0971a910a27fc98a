"""Confirming a group's mailbox from the mails that ask about it."""

from flask import Blueprint, render_template, request

from belong_mail.current import parts, transaction
from belong_mail.shared_mailbox import service
from belong_mail.tokens import Purpose

shared_mailbox = Blueprint("shared_mailbox", __name__)


@shared_mailbox.route("/confirm-mailbox/<token>", methods=["GET", "POST"])
def confirm(token: str) -> str:
    named = parts().tokens.read(Purpose.CONFIRM_MAILBOX, token)
    with transaction() as session:
        if request.method == "POST":
            service.confirm(session, parts().sealer, named)
            return render_template("shared_mailbox/confirmed.html", is_private=True)
        service.look_at(session, named.partition(".")[0])
    return render_template("shared_mailbox/confirm.html", action=request.path, is_private=True)
