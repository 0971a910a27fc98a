"""The leads' pages about their group's page."""

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import get_locale
from sqlalchemy.orm import Session

from belong_mail.accounts import service as accounts
from belong_mail.accounts.session import signed_in
from belong_mail.current import parts, transaction
from belong_mail.editing import service
from belong_mail.editing.forms import PageForm
from belong_mail.groups.cards import card, resources_of
from belong_mail.groups.models import Group
from belong_mail.shared_mailbox import service as mailboxes

editing = Blueprint("editing", __name__, url_prefix="/lead/groups/<slug>")


@editing.route("/page", methods=["GET", "POST"])
def page(slug: str) -> ResponseReturnValue:
    with transaction() as session:
        group = accounts.led_group(session, signed_in(), slug)
        form = PageForm()
        if request.method != "POST":
            form.show(service.page_of(group))
        elif form.validate_on_submit():
            if "preview" in request.form:
                return _preview(group, form)
            service.change(session, group, form.page())
            _keep_mailbox(session, group, form)
            return redirect(url_for(".page", slug=slug, saved=1), 303)
        asked_at = mailboxes.asked_at(session, group)
        face = card(group, str(get_locale()))
        shown = render_template(
            "editing/page.html", group=face, of=group, form=form, asked_at=asked_at
        )
    return shown, 422 if form.errors else 200


@editing.post("/page/undo")
def undo(slug: str) -> ResponseReturnValue:
    with transaction() as session:
        service.undo(session, accounts.led_group(session, signed_in(), slug))
    return redirect(url_for(".page", slug=slug, undone=1), 303)


def _preview(group: Group, form: PageForm) -> str:
    """Show the public page as it would be; nothing is stored."""
    typed = form.page()
    language = str(get_locale())
    would_be = Group(
        slug=group.slug,
        name=group.name,
        position=group.position,
        established_at=group.established_at,
        summary=typed.summary,
        note=typed.note,
        resources=typed.resources,
    )
    return render_template(
        "directory/group.html",
        group=card(would_be, language),
        resources=resources_of(would_be, language),
    )


def _keep_mailbox(session: Session, group: Group, form: PageForm) -> None:
    if form.without_mailbox.data:
        mailboxes.remove(session, group)
    elif form.mailbox.data:
        address, language = form.mailbox.data, str(get_locale())
        mailboxes.propose(session, parts().sealer, group, signed_in(), address, language)
