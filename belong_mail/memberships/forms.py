"""The form that asks for the link to one's groups."""

from flask_babel import lazy_gettext as _l
from wtforms import EmailField, SubmitField, ValidationError
from wtforms.validators import DataRequired, Length

from belong_mail.forms import OpenForm, staff_address, strip, well_formed


class AskForm(OpenForm):
    """Takes any address: somebody may have joined under one that we accept no more."""

    email = EmailField(
        _l("Your email address"),
        description=_l("The one to which your newsletters come."),
        filters=[strip],
        validators=[DataRequired(_l("Enter your email address.")), Length(max=254), well_formed],
    )
    submit = SubmitField(_l("Send me the link"))

    @property
    def is_staff(self) -> bool:
        """Whether the address could join today."""
        try:
            staff_address(self, self.email)
        except ValidationError:
            return False
        return True
