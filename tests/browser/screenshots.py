"""Pictures of every page and email: `python -m tests.browser.screenshots FOLDER`."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Literal

import pytest

from tests.browser.pages import OURS, shown
from tests.markers import on_sqlite

FOLDER = "PICTURES"
WIDTHS = (320, 768, 1440)
THEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")


@on_sqlite
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("language", ["en", "es"])
def test_pictures_are_taken_in_both_themes_at_each_width(browser, app, scenario, language):
    context, folder = browser.new_context(base_url=OURS, locale=language), Path(os.environ[FOLDER])
    for number, (name, page) in enumerate(shown(context, app, scenario, language)):
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 740})
            for theme in THEMES:
                page.emulate_media(color_scheme=theme)
                file = folder / f"{number:03}-{name}-{language}-{width}-{theme}.png"
                page.screenshot(path=file, full_page=True)
    context.close()


if __name__ == "__main__":
    folder = {FOLDER: str(Path(sys.argv[1]).absolute())}
    command = [sys.executable, "-m", "pytest", __file__, "-n", "0"]
    sys.exit(subprocess.run(command, env=os.environ | folder, check=False).returncode)
