"""Put the app, and nothing else, into a zip file: `python3 infra/package.py app.zip`. Any Python 3.8 will do."""

import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FILES = ("function_app.py", "host.json", "requirements.txt")
FOLDERS = ("leads",)


def contents():
    """The files of the package, in a fixed order. Raises FileNotFoundError where one of the named ones is missing."""
    found = [ROOT / name for name in FILES]
    for folder in FOLDERS:
        found += sorted(file for file in (ROOT / folder).rglob("*") if file.is_file())
    missing = [file.name for file in found if not file.exists()]
    if missing:
        raise FileNotFoundError(f"{', '.join(missing)} is missing in {ROOT}: is this a whole clone?")
    return [file for file in found if "__pycache__" not in file.parts and not file.name.startswith(".")]


def write(target):
    """Write the zip file. The same contents make the same bytes."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in contents():
            entry = zipfile.ZipInfo(file.relative_to(ROOT).as_posix())
            entry.external_attr = 0o644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, file.read_bytes())


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python3 infra/package.py FILE.zip")
    try:
        write(sys.argv[1])
    except OSError as error:
        sys.exit(str(error))
