"""Write docs/rights.md anew from the marks at the views: python -m tests.web.rights."""

import tempfile
from pathlib import Path

from belong_mail.app import create_app
from belong_mail.core import encryption
from config import Config
from tests.web.rights.site import SETTINGS
from tests.web.rights.table import document, rights_table

PLACE = Path(__file__).resolve().parents[3] / "docs" / "rights.md"


def written() -> str:
    """Return the document as an app with every page has it."""
    keys = encryption.new_keys()
    with tempfile.TemporaryDirectory() as folder:
        environment = {
            "BELONG_BASE_URL": "http://localhost:5000",
            "BELONG_DATABASE_URL": f"sqlite:///{folder}/belong.db",
            "BELONG_SMTP_URL": "smtp://127.0.0.1:1?tls=none",
            "BELONG_SECRET_KEYS": keys["secret"],
            "BELONG_PUBLIC_KEYS": keys["public"],
            "BELONG_PRIVATE_KEYS": keys["private"],
            "BELONG_INDEX_KEYS": keys["index"],
            "BELONG_STATE_FOLDER": folder,
            **SETTINGS,
        }
        return document(rights_table(create_app(Config.read(environment))))


if __name__ == "__main__":
    PLACE.write_text(written())
