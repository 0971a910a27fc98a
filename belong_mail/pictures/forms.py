"""The form that takes a picture and its description."""

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_wtf.file import FileField
from werkzeug.datastructures import FileStorage
from wtforms import StringField, SubmitField, ValidationError
from wtforms.validators import DataRequired, Length, Regexp

from belong_mail.forms import KeptForm, plain_text, strip
from belong_mail.pictures.encoding import MAX_FILE, Encoded, PictureRefused, encode


class AddForm(KeptForm):
    picture = FileField(
        _l("Picture"),
        description=_l("JPEG, PNG or WebP, at most 5 MB. Where and when it was taken is removed."),
    )
    description = StringField(
        _l("What it shows"),
        description=_l("For people who cannot see it, such as “Twelve people around a table”."),
        filters=[strip],
        validators=[
            DataRequired(_l("Say what the picture shows.")),
            Length(max=300, message=_l("Use at most 300 characters.")),
            Regexp(r"^[^\n\t]*$", message=_l("A description is one line.")),
            plain_text,
        ],
    )
    submit = SubmitField(_l("Add the picture"))
    encoded: Encoded | None = None
    """The picture as it is kept, when the form is right."""

    def validate_picture(self, field: FileField) -> None:
        if not isinstance(field.data, FileStorage):
            raise ValidationError(_("Choose a picture."))
        try:
            self.encoded = encode(field.data.read(MAX_FILE + 1))
        except PictureRefused as refusal:
            raise ValidationError(_(str(refusal))) from refusal
