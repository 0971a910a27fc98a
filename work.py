"""The worker's door: what `flask --app wsgi worker` becomes; reads the settings."""

import os
import sys

from belong_mail.becoming import DRAIN
from belong_mail.working import work
from config import Config, SettingsRefused

if __name__ == "__main__":
    try:
        config = Config.read(os.environ)
    except SettingsRefused as refusal:
        sys.exit(str(refusal))
    work(config, is_draining=DRAIN in sys.argv)
