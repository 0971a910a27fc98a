"""The office's pages about settings of the site that are no secrets."""

from typing import Any

from flask import Blueprint, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from belong_mail.accounts.service import NotFound
from belong_mail.core import site_settings
from belong_mail.groups import header_words
from belong_mail.office.forms import LABELS, SettingForm, WordsForm
from belong_mail.web.access import for_office, fresh_proof
from belong_mail.web.context import services, transaction

office_settings = Blueprint("office_settings", __name__, url_prefix="/office/settings")


@office_settings.url_value_preprocessor
def name_as_stored(_endpoint: str | None, values: dict[str, Any] | None) -> None:
    if values and "name" in values:
        values["name"] = site_settings.name_as_stored(values["name"])


@office_settings.url_defaults
def name_in_address(_endpoint: str, values: dict[str, Any]) -> None:
    if "name" in values:
        values["name"] = site_settings.name_as_shown(values["name"])


@office_settings.get("")
@for_office
def listed() -> str:
    with transaction() as session:
        current = site_settings.with_changes(session, services().settings)
        words = header_words.site_words(session)
    shown = [(name, _(LABELS[name]), getattr(current, name)) for name in _editable()]
    said = {"words": words}
    return render_template("office/settings.html", settings=shown, **said)


@office_settings.route("/words", methods=["GET", "POST"])
@for_office
@fresh_proof
def words() -> ResponseReturnValue:
    """Change the words that no subject of a discreet group may say."""
    with transaction() as session:
        form = WordsForm(data={"words": "\n".join(header_words.site_words(session))})
        if form.validate_on_submit():
            header_words.change_site_words(session, form.listed())
            return redirect(url_for(".listed", saved=1), 303)
    page = render_template("office/words.html", form=form)
    return page, 422 if form.errors else 200


@office_settings.route("/<name>", methods=["GET", "POST"])
@for_office
@fresh_proof
def setting(name: str) -> ResponseReturnValue:
    _require(name)
    default = getattr(services().settings, name)
    with transaction() as session:
        current = site_settings.with_changes(session, services().settings)
        form = SettingForm(name, data={"value": getattr(current, name)})
        if form.validate_on_submit():
            site_settings.change(session, services().settings, name, form.value.data)
            return redirect(url_for(".listed", saved=1), 303)
    page = render_template("office/setting.html", name=name, form=form, default=default)
    return page, 422 if form.errors else 200


@office_settings.post("/<name>/default")
@for_office
@fresh_proof
def default(name: str) -> ResponseReturnValue:
    """Go back to the environment's value."""
    _require(name)
    with transaction() as session:
        site_settings.change(session, services().settings, name, None)
    return redirect(url_for(".listed", saved=1), 303)


def _editable() -> list[str]:
    return site_settings.editable(services().settings)


def _require(name: str) -> None:
    """Raise NotFound for what is no setting of these."""
    if name not in _editable():
        raise NotFound
