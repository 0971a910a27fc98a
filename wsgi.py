"""The door for the web server and the `flask` command; reads the settings."""

import os
import sys

from belong_mail.becoming import become_worker, wanted

if (asked := wanted(sys.argv)) is not None:
    become_worker(asked)

# Below, for a worker needs nothing of this: it starts sooner, in a third less memory.
from belong_mail.app import create_app
from config import Config, SettingsRefused

try:
    config = Config.read(os.environ)
except SettingsRefused as refusal:
    sys.exit(str(refusal))

app = create_app(config)
