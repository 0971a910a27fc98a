"""The leads' pages about their group's page."""

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import get_locale

from belong_mail.accounts import service as accounts
from belong_mail.accounts.session import signed_in
from belong_mail.editing import service
from belong_mail.editing.forms import PageForm
from belong_mail.groups.cards import card, resources_of
from belong_mail.groups.models import Group
from belong_mail.parts import parts, transaction

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
            _keep_mailbox(group, form)
            return redirect(url_for(".page", slug=slug, saved=1), 303)
        shown = render_template(
            "editing/page.html", group=card(group, str(get_locale())), of=group, form=form
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


def _keep_mailbox(group: Group, form: PageForm) -> None:
    if form.without_mailbox.data:
        service.set_mailbox(group, parts().sealer, "")
    elif form.mailbox.data:
        service.set_mailbox(group, parts().sealer, form.mailbox.data)
