"""The office's forms: answers, whether a second leader's yes is needed, one address that leaves."""

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from wtforms import RadioField, SelectChoice, SelectField, SubmitField, TextAreaField
from wtforms.validators import DataRequired, InputRequired, Length

from belong_mail.groups.models import Group
from belong_mail.members.removal import BAR, LET_IN, REMOVE
from belong_mail.newsletters import approval
from belong_mail.web.forms import BaseForm, email_field, plain_text, strip, well_formed


class AnswerForm(BaseForm):
    answer = TextAreaField(
        _l("Your answer"),
        filters=[strip],
        validators=[
            DataRequired(_l("Write your answer.")),
            Length(max=5000, message=_l("Use at most 5,000 characters.")),
            plain_text,
        ],
    )
    submit = SubmitField(_l("Post your answer"))


class SecondYesForm(BaseForm):
    second_yes = RadioField(
        _l("When do newsletters need a second leader’s OK?"),
        choices=lambda: [
            SelectChoice(approval.AUTO, _("If the group is discreet and has two leaders or more")),
            SelectChoice(approval.ALWAYS, _("Always")),
            SelectChoice(approval.NEVER, _("Never")),
        ],
        validators=[InputRequired(_l("Choose one."))],
    )
    submit = SubmitField(_l("Save"))


class RemovalForm(BaseForm):
    group = SelectField(_l("Group"), choices=[])
    email = email_field(
        _l("Email address"),
        DataRequired(_l("Enter an email address.")),
        well_formed,
        _l("One address. This site doesn’t show it to anyone, and doesn’t keep it."),
    )
    what = RadioField(
        _l("What to do"),
        choices=lambda: [
            SelectChoice(REMOVE, _("Take it out of the group. It can join again.")),
            SelectChoice(BAR, _("Take it out of the group, and don’t let it join again.")),
            SelectChoice(LET_IN, _("Let it join the group again.")),
        ],
        default=REMOVE,
    )
    submit = SubmitField(_l("Do this now"))

    def offer(self, groups: list[Group]) -> None:
        """Let one of these be chosen."""
        self.group.choices = [SelectChoice(each.slug, each.name) for each in groups]
