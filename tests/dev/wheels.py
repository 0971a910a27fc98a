"""Makes small wheels and the locks that pin them, so that a set-up needs no index."""

import hashlib
import zipfile
from collections.abc import Mapping
from pathlib import Path

STAND_IN = Path(__file__).with_name("stand_in.py")

TOOLS = """
import os, sys
def main():
    name = os.path.basename(sys.argv[0])
    print(name, *sys.argv[1:], "speaks")
    sys.exit(name in os.environ.get("STAND_IN_COMPLAINS", "").split())
"""
SCRIPTS = ("ruff", "mypy", "lint-imports", "djlint", "pytest")

PYTEST = """
import os, sys
print("pytest", *sys.argv[1:], "of", sys.version.split()[0])
sys.exit(int(os.environ.get("STAND_IN_PYTEST", "0")))
"""


def make_wheels(folder: Path) -> dict[str, str]:
    """Put the wheels in a folder; return the text of each lock."""
    flask = make_wheel(folder, "flask", {"__main__.py": STAND_IN.read_text()})
    tools = make_wheel(folder, "tools", {"__init__.py": TOOLS}, SCRIPTS)
    pytest = make_wheel(folder, "pytest", {"__main__.py": PYTEST})
    return {"run": flask, "build": tools, "test": flask + tools + pytest}


def make_wheel(
    folder: Path, name: str, files: Mapping[str, str], scripts: tuple[str, ...] = ()
) -> str:
    """Make a wheel of one package; return its line of a lock."""
    about = f"{name}-1.0.dist-info"
    content = {
        **{f"{name}/{file}": text for file, text in files.items()},
        f"{about}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"{about}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{about}/entry_points.txt": "[console_scripts]\n"
        + "".join(f"{script} = {name}:main\n" for script in scripts),
    }
    content[f"{about}/RECORD"] = "".join(f"{path},,\n" for path in [*content, f"{about}/RECORD"])
    file = folder / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(file, "w") as wheel:
        for path, text in content.items():
            wheel.writestr(zipfile.ZipInfo(path), text)
    return f"{name}==1.0 \\\n    --hash=sha256:{hashlib.sha256(file.read_bytes()).hexdigest()}\n"
