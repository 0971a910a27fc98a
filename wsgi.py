"""The door for the web server and the `flask` command; reads the settings."""

import os
import sys

from belong_mail.app import create_app
from config import Config, SettingsRefused

try:
    config = Config.read(os.environ)
except SettingsRefused as refusal:
    sys.exit(str(refusal))

app = create_app(config)
