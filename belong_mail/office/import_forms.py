"""The office's form for a list of addresses that moves in."""

from typing import Final

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_wtf.file import FileField
from wtforms import Field, RadioField, SelectChoice, SubmitField, ValidationError

from belong_mail.core.i18n import DEFAULT, NAMES
from belong_mail.mail.address import Staff
from belong_mail.members.address_list import (
    MAX_FILE_OCTETS,
    AddressList,
    UnusableFile,
    read_addresses,
)
from belong_mail.web.context import services
from belong_mail.web.forms import BaseForm

# The file, and what a form has around it.
MAX_BODY: Final = MAX_FILE_OCTETS + 64 * 1024


class ImportForm(BaseForm):
    file = FileField(
        _l("CSV file"),
        description=_l(
            "A Google Form’s responses or a Google Group’s members, up to 50,000 rows and 8 MB. We"
            " read the email addresses, and nothing else: no names and no answers. Someone who"
            " answered “No” in another column is asked too, so remove those rows first."
        ),
    )
    language = RadioField(
        _l("Language of the emails"),
        choices=lambda: [SelectChoice(code, name) for code, name in NAMES.items()],
        default=DEFAULT,
    )
    submit = SubmitField(_l("Check the file"))
    # What is in the file, when the form is right.
    found: AddressList | None = None

    def validate_file(self, field: Field) -> None:
        """Read the file in memory; it is stored nowhere."""
        if not field.data:
            raise ValidationError(_("Choose a file."))
        settings = services().settings
        staff = Staff(settings.allowed_domains, settings.refused_local_parts)
        try:
            self.found = read_addresses(field.data.read(MAX_FILE_OCTETS + 1), staff)
        except UnusableFile as error:
            raise ValidationError(_(error.fault.value)) from None
