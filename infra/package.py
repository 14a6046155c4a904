"""Make the package that Azure runs: `python3 infra/package.py FILE.zip`. Any Python 3.9 with pip will do.

It is ready to run, and Azure builds nothing: the app, and its dependencies for the Python and the system that run it
(runtime.json), from a lock with hashes made for them (requirements-package.txt). Where that Python is at hand, bytecode
is added. The package is checked before it is there: every file of every dependency, no extension module for another
Python or system, and, where that Python is at hand on such a system, that all of it can be imported.

    package.py [--python PYTHON | --no-bytecode] TARGET

TARGET is a new file that ends in `.zip`, or a folder (for azd, which zips it), whose old content goes. `--python` names
the Python that makes the bytecode; without it that is this one or `python3.13`, if there is one. The last line on
standard output is the build's id, made of the sources and of the lock. Without bytecode, the same sources make the same
bytes with the same zlib. Exit code 1: there is no package, and standard error says why. 2: wrong use.
"""

from __future__ import annotations

import argparse
import base64
import csv
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

INFRA = Path(__file__).resolve().parent
ROOT = INFRA.parent
FILES = ("function_app.py", "host.json")
FOLDERS = ("leads",)
LOCK = INFRA / "requirements-package.txt"
RUNTIME = json.loads((INFRA / "runtime.json").read_text(encoding="utf-8"))
SITE = ".python_packages/lib/site-packages"
"""Where the worker looks for dependencies, before it looks anywhere else."""
HOME = "/home/site/wwwroot"
"""Where Azure puts the package; tracebacks name it."""
BUILD = "build.txt"
NOT_NEEDED = re.compile(
    r"(^|/)(tests?|__pycache__)/|\.(pyi|pyc)$|\.data/(scripts|headers|data)/|/(INSTALLER|REQUESTED)$"
)
"""What of a dependency does not go into the package."""

Content = dict[str, bytes]
"""The bytes of each file by its path in the package, with slashes."""


class NoPackage(Exception):
    """Why there is none, in words."""


def sources() -> Content:
    """The files of the app. Raises NoPackage where one is missing."""
    found = [ROOT / name for name in FILES]
    for folder in FOLDERS:
        found += [file for file in (ROOT / folder).rglob("*") if file.is_file()]
    found = [file for file in found if "__pycache__" not in file.parts and not file.name.startswith(".")]
    missing = [file.name for file in found if not file.exists()]
    missing += [folder for folder in FOLDERS if not (ROOT / folder).is_dir()]
    if missing:
        raise NoPackage(f"{', '.join(missing)} is missing in {ROOT}: is this a whole clone?")
    return {file.relative_to(ROOT).as_posix(): file.read_bytes() for file in found}


def build_id(app: Content) -> str:
    """Twelve hex digits for what the package is made of."""
    digest = hashlib.sha256()
    for name, content in [*sorted(app.items()), ("lock", LOCK.read_bytes())]:
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()[:12]


def dependencies() -> Content:
    """The files of all wheels that the lock names. Raises NoPackage where one cannot be had."""
    newest = int(RUNTIME["glibc"].partition(".")[2])
    tags = [f"manylinux_2_{minor}_x86_64" for minor in range(newest, 4, -1)]
    tags += ["manylinux2014_x86_64", "manylinux2010_x86_64", "manylinux1_x86_64"]
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-input"]
        command += ["--require-hashes", "--only-binary=:all:", "--no-deps", "--implementation", "cp"]
        command += ["--python-version", RUNTIME["python"], *(f"--platform={tag}" for tag in tags)]
        command += ["--dest", folder, "-r", str(LOCK)]
        done = subprocess.run(command, check=False, stdout=sys.stderr, stderr=subprocess.PIPE)
        said = done.stderr.decode(errors="replace")
        if done.returncode:
            sys.stderr.write(said)
            raise NoPackage(why(said))
        content: Content = {}
        for wheel in sorted(Path(folder).iterdir()):
            content.update(unpacked(wheel))
        return content


def why(said: str) -> str:
    """What pip's words mean for whoever deploys."""
    if "No module named pip" in said:
        return f"{sys.executable} has no pip. Install it: {sys.executable} -m ensurepip"
    if "DO NOT MATCH THE HASHES" in said:
        return (
            "A dependency is not the file that this project was tested with: its hash has changed. Where you install "
            "from your own mirror, compare it with pypi.org. Do not deploy it."
        )
    if "No matching distribution" in said:
        return (
            f"A dependency has no wheel for Python {RUNTIME['python']} on Linux with glibc {RUNTIME['glibc']}, or the "
            "package index could not be reached. pip says which one above."
        )
    return "The dependencies could not be fetched. pip says why above."


def unpacked(wheel: Path) -> Content:
    """The files of a wheel as they lie in the package."""
    content = {}
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if not name.endswith("/") and not NOT_NEEDED.search(name):
                content[in_site(name)] = archive.read(name)
    return content


def in_site(name: str) -> str:
    """Where a file of a wheel lies in the package."""
    return SITE + "/" + re.sub(r"^[^/]+\.data/(purelib|platlib)/", "", name)


def python_at_hand() -> str | None:
    """A Python of the runtime's version, if this machine has one."""
    for candidate in (sys.executable, shutil.which(f"python{RUNTIME['python']}")):
        if candidate and version_of(candidate) == RUNTIME["python"]:
            return candidate
    return None


def version_of(python: str) -> str:
    """Such as 3.13; empty where it does not start."""
    command = [python, "-I", "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
    try:
        done = subprocess.run(command, check=False, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        return done.stdout.decode().strip()
    except OSError:
        return ""


def write_folder(content: Content, folder: Path) -> None:
    """Write the files into a folder."""
    for name, each in content.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(each)


def bytecode(content: Content, python: str) -> Content:
    """The bytecode of all modules, which is taken without a look at the source: Azure may change the times of files."""
    with tempfile.TemporaryDirectory() as folder:
        write_folder(content, Path(folder))
        command = [python, "-I", "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash"]
        done = subprocess.run([*command, "-s", folder, "-p", HOME, folder], check=False, stdout=sys.stderr)
        if done.returncode:
            raise NoPackage("Some module could not be compiled; which one stands above.")
        found = (file for file in Path(folder).rglob("*.pyc"))
        return {file.relative_to(folder).as_posix(): file.read_bytes() for file in found}


def write_zip(content: Content, target: Path) -> None:
    """Write the files into a zip file, in the order of their names and without their times."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(content):
            entry = zipfile.ZipInfo(name)
            entry.create_system = 3  # as on Linux, wherever it is made
            entry.external_attr = 0o100644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, content[name])


def check(target: Path) -> list[str]:
    """What is wrong with a package, in words; empty where nothing is."""
    with zipfile.ZipFile(target) as archive:
        broken = archive.testzip()
        content = {name: archive.read(name) for name in archive.namelist()}
    wrong = [f"{broken} is broken."] if broken else []
    wrong += [f"{name} is missing." for name in (*sources(), BUILD) if name not in content]
    for name, version in re.findall(r"^([\w.-]+)==([^\s;\\]+)", LOCK.read_text(encoding="utf-8"), re.MULTILINE):
        start = f"{SITE}/{name.replace('-', '_')}-{version}.dist-info/".lower()
        records = [each for each in content if each.lower() == f"{start}record"]
        if not records:
            wrong.append(f"{name} {version} is missing.")
        for record in records:
            wrong += incomplete(content, record)
    for name, each in content.items():
        wrong += foreign(name, each)
    return wrong


def incomplete(content: Content, record: str) -> list[str]:
    """The files of a dependency that are missing or changed, by its own record (packaging.python.org, recording)."""
    wrong = []
    for recorded, digest, _ in csv.reader(content[record].decode().splitlines()):
        if NOT_NEEDED.search(recorded) or not digest:
            continue
        name = in_site(recorded)
        if name not in content:
            wrong.append(f"{name} is missing.")
        elif digest != "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(content[name]).digest()).decode().rstrip(
            "="
        ):
            wrong.append(f"{name} is not the file that its record names.")
    return wrong


def foreign(name: str, content: bytes) -> list[str]:
    """Why the runtime could not load a file."""
    if name.endswith((".pyd", ".dll", ".dylib")):
        return [f"{name} is for another system."]
    if not re.search(r"\.so(\.\d+)*$", name):
        return []
    wrong = []
    made_for = re.search(r"\.cpython-(\d+)", name)
    if made_for and made_for.group(1) != RUNTIME["python"].replace(".", ""):
        wrong.append(f"{name} is for another Python.")
    if content[:5] != b"\x7fELF\x02" or content[18:20] != b"\x3e\x00":
        return [*wrong, f"{name} is not for Linux on x86_64."]
    needed = max((int(minor) for minor in re.findall(rb"\bGLIBC_2\.(\d+)", content)), default=0)
    if needed > int(RUNTIME["glibc"].partition(".")[2]):
        wrong.append(f"{name} needs glibc 2.{needed}, and the runtime has {RUNTIME['glibc']}.")
    return wrong


IMPORTS = """
import importlib, pathlib, pkgutil, sys
site, root = sys.argv[1:]
sys.path[:0] = [site, root]
import function_app, leads
for module in pkgutil.walk_packages(leads.__path__, "leads."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
for file in pathlib.Path(site).rglob("*.so"):
    if ".libs" not in str(file):
        importlib.import_module(".".join(file.relative_to(site).with_name(file.name.partition(".")[0]).parts))
"""


def check_imports(content: Content, python: str) -> None:
    """Import all of the app and every extension module, with nothing installed. Raises NoPackage where that fails."""
    with tempfile.TemporaryDirectory() as folder:
        write_folder(content, Path(folder))
        command = [python, "-I", "-S", "-c", IMPORTS, str(Path(folder) / SITE), folder]
        if subprocess.run(command, check=False, stdout=sys.stderr, cwd=folder).returncode:
            raise NoPackage("The package cannot be imported; why stands above.")


def make(target: Path, python: str | None, compiled: bool) -> str:
    """Make the package and return its build id. Raises NoPackage where there is none; then no file is left."""
    app = sources()
    build = build_id(app)
    content = {**app, **dependencies(), BUILD: f"{build}\n".encode()}
    if python and compiled:
        content.update(bytecode(content, python))
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        archive = Path(folder) / "app.zip"
        write_zip(content, archive)
        wrong = check(archive)
        if wrong:
            raise NoPackage("\n".join(["The package is not whole:", *wrong]))
        if python and sys.platform == "linux" and platform.machine() == "x86_64":
            check_imports(content, python)
            imported = "all of it was imported"
        else:
            imported = f"it was not imported, for want of Python {RUNTIME['python']} on Linux"
        size = f"{len(content)} files, {archive.stat().st_size / 1e6:.1f} MB"
        kind = "with bytecode" if python and compiled else "without bytecode"
        print(f"{target}: {size}, {kind}; {imported}.", file=sys.stderr)
        if target.suffix == ".zip":
            os.replace(archive, target)
            return build
    if target.exists():
        shutil.rmtree(target)
    # Without such a file azd leaves the bytecode out.
    write_folder({**content, ".funcignore": b"# All of it.\n"}, target)
    return build


def main() -> None:
    """Read the command line, make the package and tell its build id."""
    arguments = argparse.ArgumentParser(usage="package.py [--python PYTHON | --no-bytecode] TARGET")
    which = arguments.add_mutually_exclusive_group()
    which.add_argument("--python")
    which.add_argument("--no-bytecode", action="store_true")
    arguments.add_argument("target", type=Path)
    given = arguments.parse_args()
    if given.python and version_of(given.python) != RUNTIME["python"]:
        arguments.error(
            f"{given.python} is not Python {RUNTIME['python']}, which runs the package. Name one that is: "
            f"--python PATH, or make package PYTHON=PATH."
        )
    target = given.target.absolute()
    if target.suffix != ".zip" and target.exists() and any(target.iterdir()) and not (target / BUILD).exists():
        arguments.error(f"{target} is not empty, and not a package that was made by this.")
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        print(make(target, given.python or python_at_hand(), compiled=not given.no_bytecode))
    except NoPackage as reason:
        sys.exit(f"\n{reason}")
    except OSError as error:
        sys.exit(f"\nThe package could not be made: {error}")


if __name__ == "__main__":
    main()
