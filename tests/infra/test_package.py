"""infra/package.py: what is in the package, and every way to have none. test_runtime.py runs what it makes."""

from __future__ import annotations

import ast
import base64
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.infra.deployment import INFRA, ROOT
from tests.runtime import python313

ELF = b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x03\x00\x3e\x00" + bytes(40)
SITE = ".python_packages/lib/site-packages"
LINUX = "manylinux_2_28_x86_64"


def wheel(folder: Path, name: str, files: dict[str, bytes], tag: str = "py3-none-any", *, forgets: str = "") -> str:
    """Make a wheel of version 1.0 and return its line for a lock; `forgets` a file that its record still has."""
    about = f"{name}-1.0.dist-info"
    files = files | {
        f"{about}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n".encode(),
        f"{about}/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n".encode(),
    }
    lines = []
    for each, content in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")
        lines.append(f"{each},sha256={digest},{len(content)}")
    files[f"{about}/RECORD"] = "\n".join([*lines, f"{about}/RECORD,,"]).encode()
    file = folder / f"{name}-1.0-{tag}.whl"
    with zipfile.ZipFile(file, "w") as archive:
        for each, content in files.items():
            if each != forgets:
                archive.writestr(each, content)
    return f"{name}==1.0 --hash=sha256:{hashlib.sha256(file.read_bytes()).hexdigest()}\n"


@dataclass
class Clone:
    """A small clone of this project with dependencies of its own, which lie in a folder."""

    root: Path
    environ: dict[str, str] = field(default_factory=dict)

    @property
    def wheels(self) -> Path:
        return self.root / "wheels"

    @property
    def lock(self) -> Path:
        return self.root / "infra" / "requirements-package.txt"

    def make(self, *arguments: str, python: str = sys.executable) -> subprocess.CompletedProcess[str]:
        """Run package.py as deploy.sh does."""
        return subprocess.run(
            [python, str(self.root / "infra" / "package.py"), *arguments],
            env={**os.environ, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(self.wheels), **self.environ},
            cwd=self.root,
            capture_output=True,
            text=True,
            check=False,
        )

    def packed(self, *arguments: str) -> dict[str, bytes]:
        """The files of the package."""
        done = self.make(*arguments, "app.zip")
        assert done.returncode == 0, done.stderr
        return self.read()

    def read(self) -> dict[str, bytes]:
        with zipfile.ZipFile(self.root / "app.zip") as archive:
            return {name: archive.read(name) for name in archive.namelist()}

    def refused(self, *arguments: str) -> str:
        """Why there is no package; there is none, not even half of one."""
        done = self.make(*(arguments or ("--no-bytecode", "app.zip")))
        assert done.returncode == 1
        assert done.stdout == ""
        assert not (self.root / "app.zip").exists()
        assert 'package.py", line' not in done.stderr, "a reason in words"
        return done.stderr


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    made = Clone(tmp_path)
    (tmp_path / "infra").mkdir()
    made.wheels.mkdir()
    for name in ("package.py", "runtime.json"):
        shutil.copy(INFRA / name, tmp_path / "infra")
    (tmp_path / "leads" / "__pycache__").mkdir(parents=True)
    (tmp_path / "leads" / "__init__.py").write_text("import helper\n")
    (tmp_path / "leads" / ".hidden").write_text("x")
    (tmp_path / "leads" / "__pycache__" / "old.pyc").write_bytes(b"x")
    (tmp_path / "function_app.py").write_text("import leads\n")
    (tmp_path / "host.json").write_text("{}\n")
    (tmp_path / "requirements.txt").write_text("helper\n")
    (tmp_path / "local.settings.json").write_text("secret")
    made.lock.write_text(
        wheel(
            made.wheels,
            "helper",
            {
                "helper/__init__.py": b"X = 1\n",
                "helper/__init__.pyi": b"X: int\n",
                "helper/tests/test_x.py": b"",
                "helper/tests.py": b"",
                "helper/data.txt": b"data",
                "helper-1.0.data/purelib/more.py": b"",
                "helper-1.0.data/scripts/helper": b"#!python\n",
                "helper-1.0.dist-info/licenses/LICENSE": b"MIT",
            },
        )
    )
    return made


class TestContent:
    def test_it_is_the_app_and_its_dependencies_and_nothing_else(self, clone: Clone) -> None:
        assert sorted(clone.packed("--no-bytecode")) == [
            f"{SITE}/helper-1.0.dist-info/METADATA",
            f"{SITE}/helper-1.0.dist-info/RECORD",
            f"{SITE}/helper-1.0.dist-info/WHEEL",
            f"{SITE}/helper-1.0.dist-info/licenses/LICENSE",
            f"{SITE}/helper/__init__.py",
            f"{SITE}/helper/data.txt",
            f"{SITE}/helper/tests.py",
            f"{SITE}/more.py",
            "build.txt",
            "function_app.py",
            "host.json",
            "leads/__init__.py",
        ]

    def test_the_same_input_makes_the_same_bytes(self, clone: Clone) -> None:
        clone.packed("--no-bytecode")
        first = (clone.root / "app.zip").read_bytes()
        os.utime(clone.root / "host.json", (1_000_000_000, 1_000_000_000))
        clone.packed("--no-bytecode")
        assert (clone.root / "app.zip").read_bytes() == first

    def test_files_can_be_read_by_everybody(self, clone: Clone) -> None:
        clone.packed("--no-bytecode")
        with zipfile.ZipFile(clone.root / "app.zip") as archive:
            assert {entry.external_attr >> 16 for entry in archive.infolist()} == {0o100644}

    def test_extension_modules_of_the_runtime_are_taken(self, clone: Clone) -> None:
        content = ELF + b"\0GLIBC_2.17\0GLIBC_2.28\0"
        name = "fast.cpython-313-x86_64-linux-gnu.so"
        clone.lock.write_text(wheel(clone.wheels, "fast", {name: content}, f"cp313-cp313-{LINUX}"))
        assert clone.packed("--no-bytecode")[f"{SITE}/{name}"] == content

    def test_the_python_that_builds_does_not_choose_the_wheel(self, clone: Clone) -> None:
        own = f"cp{sys.version_info[0]}{sys.version_info[1]}"
        lines = [
            wheel(clone.wheels, "fast", {"made_for": tag.encode()}, f"{tag}-{tag}-{LINUX}") for tag in {"cp313", own}
        ]
        hashes = " ".join(line.strip().partition(" ")[2] for line in lines)
        clone.lock.write_text(f"fast==1.0 {hashes}\n")
        assert clone.packed("--no-bytecode")[f"{SITE}/made_for"] == b"cp313"


class TestBuildId:
    def test_it_is_told_and_lies_in_the_package(self, clone: Clone) -> None:
        done = clone.make("--no-bytecode", "app.zip")
        build = done.stdout.strip()
        assert re.fullmatch("[0-9a-f]{12}", build)
        assert clone.read()["build.txt"].decode() == f"{build}\n"

    def test_it_changes_with_the_sources_and_with_the_lock(self, clone: Clone) -> None:
        first = clone.packed("--no-bytecode")["build.txt"]
        (clone.root / "leads" / "__init__.py").write_text("import helper \n")
        second = clone.packed("--no-bytecode")["build.txt"]
        clone.lock.write_text(clone.lock.read_text() + "# more\n")
        third = clone.packed("--no-bytecode")["build.txt"]
        assert len({first, second, third}) == 3


@pytest.fixture(scope="module")
def runtime() -> str:
    found = python313()
    if found is None:
        pytest.skip("the runtime's Python is not on this machine: bytecode was not made")
    return found


class TestBytecode:
    def test_it_is_taken_without_a_look_at_the_source(self, clone: Clone, runtime: str) -> None:
        packed = clone.packed("--python", runtime)
        compiled = {name for name in packed if name.endswith(".pyc")}
        assert compiled == {
            "__pycache__/function_app.cpython-313.pyc",
            "leads/__pycache__/__init__.cpython-313.pyc",
            f"{SITE}/__pycache__/more.cpython-313.pyc",
            f"{SITE}/helper/__pycache__/__init__.cpython-313.pyc",
            f"{SITE}/helper/__pycache__/tests.cpython-313.pyc",
        }
        assert {packed[name][4:8] for name in compiled} == {(1).to_bytes(4, "little")}, "PEP 552: hash, unchecked"

    def test_tracebacks_name_the_place_in_azure(self, clone: Clone, runtime: str) -> None:
        code = clone.packed("--python", runtime)["__pycache__/function_app.cpython-313.pyc"][16:]
        assert b"/home/site/wwwroot/function_app.py" in code
        assert str(clone.root).encode() not in code

    def test_the_build_id_is_the_same_with_it(self, clone: Clone, runtime: str) -> None:
        assert clone.packed("--python", runtime)["build.txt"] == clone.packed("--no-bytecode")["build.txt"]

    def test_what_cannot_be_imported_is_refused(self, clone: Clone, runtime: str) -> None:
        (clone.root / "leads" / "late.py").write_text("import no_such_module\n")
        said = clone.refused("--python", runtime, "app.zip")
        assert "No module named 'no_such_module'" in said
        assert "cannot be imported" in said

    def test_a_python_that_does_not_run_the_package_is_refused(self, clone: Clone, runtime: str) -> None:
        clone.root.joinpath("infra", "runtime.json").write_text('{"python": "3.99", "glibc": "2.36"}')
        done = clone.make("--python", runtime, "app.zip")
        assert done.returncode == 2
        assert "is not Python 3.99, which runs the package" in done.stderr


class TestRefusals:
    def test_a_changed_file(self, clone: Clone) -> None:
        wheel(clone.wheels, "helper", {"helper/__init__.py": b"steal()\n"})
        assert "its hash has changed" in clone.refused()

    @pytest.mark.parametrize("tag", ["cp311-cp311-" + LINUX, "cp313-cp313-macosx_11_0_arm64", "cp313-cp313-win_amd64"])
    def test_a_wheel_that_does_not_exist_for_the_runtime(self, clone: Clone, tag: str) -> None:
        clone.lock.write_text(wheel(clone.wheels, "fast", {"fast.py": b""}, tag))
        said = clone.refused()
        assert "fast==1.0" in said
        assert "no wheel for Python 3.13 on Linux" in said

    def test_no_network(self, clone: Clone) -> None:
        shutil.rmtree(clone.wheels)
        nobody = {
            "PIP_NO_INDEX": "0",
            "PIP_INDEX_URL": "http://127.0.0.1:9",
            "PIP_RETRIES": "0",
            "PIP_CONFIG_FILE": os.devnull,
        }
        clone.environ |= nobody
        assert "the package index could not be reached" in clone.refused()

    def test_a_line_without_a_hash(self, clone: Clone) -> None:
        clone.lock.write_text("helper==1.0\n")
        assert "Hashes are required" in clone.refused()

    def test_no_pip(self, clone: Clone) -> None:
        bare = clone.root / "python"
        bare.write_text(f'#!/bin/sh\nexec {sys.executable} -S "$@"\n')
        bare.chmod(0o755)
        clone.environ["PYTHONPATH"] = ""
        source = (clone.root / "infra" / "package.py").read_text()
        patched = source.replace("sys.executable", repr(str(bare)))
        (clone.root / "infra" / "package.py").write_text(patched)
        assert "has no pip. Install it:" in clone.refused()

    @pytest.mark.parametrize(
        ("name", "content", "words"),
        [
            ("f.cpython-311-x86_64-linux-gnu.so", ELF, "is for another Python"),
            ("f.abi3.so", ELF + b"\0GLIBC_2.17\0GLIBC_2.38\0", "needs glibc 2.38, and the runtime has 2.36"),
            ("f.abi3.so", ELF.replace(b"\x3e", b"\xb7"), "is not for Linux on x86_64"),
            ("f.abi3.so", b"\xcf\xfa\xed\xfe" + bytes(60), "is not for Linux on x86_64"),
            ("f.libs/libf.so.1", ELF + b"\0GLIBC_2.40\0", "needs glibc 2.40"),
            ("f.cp313-win_amd64.pyd", b"MZ", "is for another system"),
        ],
    )
    def test_what_the_runtime_could_not_load(self, clone: Clone, name: str, content: bytes, words: str) -> None:
        clone.lock.write_text(wheel(clone.wheels, "fast", {name: content}))
        said = clone.refused()
        assert f"{SITE}/{name}" in said
        assert words in said

    def test_a_dependency_that_is_not_whole(self, clone: Clone) -> None:
        line = wheel(clone.wheels, "half", {"half/__init__.py": b"", "half/rest.py": b""}, forgets="half/rest.py")
        clone.lock.write_text(line)
        assert f"{SITE}/half/rest.py is missing." in clone.refused()

    def test_a_clone_that_is_not_whole(self, clone: Clone) -> None:
        (clone.root / "host.json").unlink()
        assert "host.json is missing" in clone.refused()

    def test_an_old_package_stays_where_there_is_no_new_one(self, clone: Clone) -> None:
        clone.packed("--no-bytecode")
        first = (clone.root / "app.zip").read_bytes()
        wheel(clone.wheels, "helper", {"helper/__init__.py": b"steal()\n"})
        assert clone.make("--no-bytecode", "app.zip").returncode == 1
        assert (clone.root / "app.zip").read_bytes() == first

    @pytest.mark.parametrize("arguments", [[], ["--what", "app.zip"], ["a.zip", "b.zip"]])
    def test_wrong_use(self, clone: Clone, arguments: list[str]) -> None:
        assert clone.make(*arguments).returncode == 2


class TestFolder:
    """For azd, which zips a folder."""

    def test_it_has_the_same_content(self, clone: Clone) -> None:
        packed = clone.packed("--no-bytecode")
        done = clone.make("--no-bytecode", "out/azd")
        assert done.returncode == 0, done.stderr
        folder = clone.root / "out" / "azd"
        there = {file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*") if file.is_file()}
        assert there.pop(".funcignore"), "without it azd leaves the bytecode out"
        assert there == packed

    def test_what_was_there_before_goes(self, clone: Clone) -> None:
        clone.make("--no-bytecode", "azd")
        (clone.root / "azd" / "old.py").write_text("")
        assert clone.make("--no-bytecode", "azd").returncode == 0
        assert not (clone.root / "azd" / "old.py").exists()

    def test_a_folder_with_something_else_is_left_alone(self, clone: Clone) -> None:
        (clone.root / "photos").mkdir()
        (clone.root / "photos" / "a.jpg").write_text("x")
        done = clone.make("--no-bytecode", "photos")
        assert done.returncode == 2
        assert (clone.root / "photos" / "a.jpg").exists()

    def test_azd_takes_it(self) -> None:
        source = (ROOT / "azure.yaml").read_text(encoding="utf-8")
        for line in ("  module: azd", "    dist: .local/azd", "    language: python", "    host: function"):
            assert f"\n{line}\n" in source
        assert "\n    remoteBuild: false " in source
        assert re.search(r'^requiredVersions:\n  azd: ">= 1\.23\.13"', source, re.MULTILINE)
        assert re.findall(r"run: (python3?) infra/package\.py (\S+)", source) == [
            ("python3", ".local/azd"),
            ("python", ".local/azd"),
        ]
        service = re.search(r"^services:\n  (\w+):\n    project: \.$", source, re.MULTILINE)
        assert service
        assert f"'azd-service-name': '{service[1]}'" in (INFRA / "modules" / "app.bicep").read_text(encoding="utf-8")


class TestRelease:
    """`make package`: what a release has."""

    @pytest.fixture
    def releasing(self, clone: Clone, runtime: str) -> Clone:
        (clone.root / "dev").mkdir()
        shutil.copy(ROOT / "dev" / "release.py", clone.root / "dev")
        (clone.root / "leads" / "__init__.py").write_text('import helper\n\n__version__ = "1.2.3"\n')
        return clone

    def run(self, clone: Clone, python: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [python, str(clone.root / "dev" / "release.py")],
            env={**os.environ, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(clone.wheels)},
            capture_output=True,
            text=True,
            check=False,
        )

    def test_it_lies_in_a_folder_of_its_version_with_its_hash(self, releasing: Clone, runtime: str) -> None:
        done = self.run(releasing, runtime)
        assert done.returncode == 0, done.stderr
        folder = releasing.root / "dist" / "1.2.3"
        package = folder / "released-package.zip"
        assert {file.name for file in folder.iterdir()} == {package.name, f"{package.name}.sha256"}
        digest = hashlib.sha256(package.read_bytes()).hexdigest()
        assert (folder / f"{package.name}.sha256").read_text() == f"{digest}  {package.name}\n"
        assert done.stdout.splitlines()[-1] == digest
        with zipfile.ZipFile(package) as archive:
            assert b'__version__ = "1.2.3"' in archive.read("leads/__init__.py"), (
                "the version inside is the one outside"
            )
            assert any(name.endswith(".pyc") for name in archive.namelist()), "with bytecode"

    def test_without_a_package_there_is_no_release(self, releasing: Clone, runtime: str) -> None:
        (releasing.root / "host.json").unlink()
        done = self.run(releasing, runtime)
        assert done.returncode == 1
        assert "host.json is missing" in done.stderr
        assert not list((releasing.root / "dist").rglob("*.zip*"))

    def test_another_python_makes_none(self, releasing: Clone, runtime: str) -> None:
        (releasing.root / "infra" / "runtime.json").write_text('{"python": "3.99", "glibc": "2.36"}')
        done = self.run(releasing, runtime)
        assert done.returncode == 2
        assert "is not Python 3.99, which runs the package" in done.stderr

    def test_the_version_is_that_of_the_project(self) -> None:
        from leads import __version__

        assert f'\nversion = "{__version__}"\n' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["package.py", "vanishing.py", "../dev/release.py"])
def test_an_old_python_reads_what_a_deployment_runs(name: str) -> None:
    ast.parse((INFRA / name).read_text(encoding="utf-8"), feature_version=(3, 9))


def test_one_place_names_the_python_that_runs_it() -> None:
    python = json.loads((INFRA / "runtime.json").read_text(encoding="utf-8"))["python"]
    for file in (*INFRA.rglob("*.bicep"), INFRA / "package.py", INFRA / "deploy.sh", ROOT / "Makefile"):
        text = file.read_text(encoding="utf-8")
        assert not re.search(rf"version: '{re.escape(python)}'|--python-version {re.escape(python)}", text), file
