"""Write docs/rights.md anew from the marks at the views: python -m tests.web.rights."""

import tempfile
from pathlib import Path

from belong_mail.app import create_app
from config import Config
from tests.conftest import settings_for
from tests.web.rights.site import SETTINGS
from tests.web.rights.table import document, rights_table

PLACE = Path(__file__).resolve().parents[3] / "docs" / "rights.md"


def written() -> str:
    with tempfile.TemporaryDirectory() as folder:
        environment = settings_for(f"sqlite:///{folder}/belong.db", Path(folder))
        environment |= {"BELONG_SMTP_URL": "smtp://127.0.0.1:1?tls=none", **SETTINGS}
        return document(rights_table(create_app(Config.read(environment))))


if __name__ == "__main__":
    PLACE.write_text(written())
