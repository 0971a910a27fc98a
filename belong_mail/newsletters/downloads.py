"""Answer with a flyer: a file to keep, which no browser opens as a page of ours."""

from typing import Final

from flask import Response

from belong_mail.newsletters.attachments import attached
from belong_mail.newsletters.models import Flyer

# Where a browser opens it anyway, it may do nothing.
POLICY: Final = "default-src 'none'; sandbox"


def download(flyer: Flyer) -> Response:
    """Give a signed-in person a flyer as it is mailed."""
    [file] = attached([flyer])
    answer = Response(file.content, mimetype=file.media_type)
    answer.headers.set("Content-Disposition", "attachment", filename=file.name)
    answer.headers["Content-Security-Policy"] = POLICY
    return answer
