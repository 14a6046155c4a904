"""No secret is in the repository: a small scanner over its files, and the proof that it finds what it looks for."""

from __future__ import annotations

import base64
import math
import random
import re
import shutil
import string
import subprocess
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

ROOT = Path(__file__).resolve().parent.parent

PUBLIC = {
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==": "Microsoft publishes "
    "it: the key of every copy of Azurite",
    "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw": "the test vector of the Standard Webhooks specification",
}
"""What looks like a secret and is none, with the reason."""

PATTERNS = {
    "key of a storage account": r"(?<!sha512-)(?<![A-Za-z0-9+/])[A-Za-z0-9+/]{86}==",
    "key in a connection string": r"(?i:AccountKey|SharedAccessKey)=(?P<value>[A-Za-z0-9+/]{40,}={0,2})",
    "client secret of Microsoft Entra": r"(?<![\w~.-])[\w~.]{3}\dQ~[\w~.-]{31,34}",
    "signed URL": r"(?i:[?&;]sig=)(?P<value>[A-Za-z0-9%_-]{20,})",
    "key in a URL": r"(?i:[?&]code=)(?P<value>[A-Za-z0-9_-]{30,}={0,2})",
    "function key": r"(?<![\w-])[\w-]{44}AzFu[\w-]{5}[AQgw]==",
    "private key": r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----(?:\\n|\s|\"|\+)+[A-Za-z0-9+/]{40,}",
    "webhook secret": r"whsec_[A-Za-z0-9+/]{24,}={0,2}",
    "token (JWT)": r"eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{20,}",
    "token of GitHub": r"\b(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_\w{60,})",
    "token of HubSpot": r"\bpat-(?:na|eu)\d-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    "token of Slack": r"\bxox[abeoprs]-[\w-]{20,}",
    "token of npm or PyPI": r"\b(?:npm_[A-Za-z0-9]{36}|pypi-AgE[\w-]{50,})",
    "key of AWS or Google": r"\b(?:AKIA[0-9A-Z]{16}|AIza[\w-]{35})\b",
    "password in a URL": r"\b[a-z][a-z0-9+]{1,10}://[^\s:/@\"'{}<>]{1,60}:(?P<value>[^\s:/@\"'{}<>]{12,80})@[\w.-]",
    "value of a secret setting": r"(?i:(?:secret|password|api_?key|access_?token)\"?\s*[:=]\s*)"
    r"[\"'](?P<value>[^\s\"'{}<>]{20,100})[\"']",
}
GUESSED = ("password in a URL", "value of a secret setting")
"""Where the place gives it away and not the form: only what looks random counts."""
_COMPILED = {kind: re.compile(pattern) for kind, pattern in PATTERNS.items()}


@dataclass(frozen=True)
class Found:
    """A secret: which kind, and where. Its value is not part of it, so that no report spreads it."""

    kind: str
    line: int


def scan(text: str) -> Iterator[Found]:
    """All that looks like a secret in `text`."""
    for kind, pattern in _COMPILED.items():
        for match in pattern.finditer(text):
            value = match.groupdict().get("value") or match[0]
            if value not in PUBLIC and (kind not in GUESSED or looks_random(value)):
                yield Found(kind, text.count("\n", 0, match.start()) + 1)


def looks_random(value: str) -> bool:
    """Whether a machine made the value: digits among letters of both cases, and few repetitions."""
    kinds = (string.digits, string.ascii_lowercase, string.ascii_uppercase)
    entropy = -sum(n / len(value) * math.log2(n / len(value)) for n in Counter(value).values())
    return all(any(c in kind for c in value) for kind in kinds) and entropy > 3.5


def files() -> list[Path]:
    """What is in the repository, or would be with the next commit."""
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        pytest.skip("There is no git, or this is no clone: nothing tells which files belong to the repository.")
    command = [git, "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, capture_output=True, check=True).stdout
    return [path for name in listed.decode().split("\0") if name and (path := ROOT / name).is_file()]


def test_no_secret_is_in_the_repository() -> None:
    found = []
    for path in files():
        data = path.read_bytes()
        if b"\0" in data[:8000]:
            continue
        found += [
            f"{path.relative_to(ROOT)}:{secret.line}: {secret.kind}" for secret in scan(data.decode("utf-8", "replace"))
        ]
    assert found == [], "Take it out, and have it replaced where it was made: whoever has a clone has it."


def test_no_file_that_holds_secrets_by_its_nature_is_in_the_repository() -> None:
    """Settings, local keys and the like are ignored by git; certificates are made by the tests that need them."""
    for path in files():
        name = path.relative_to(ROOT).as_posix()
        assert not name.endswith((".pem", ".pfx", ".p12", ".key", ".jks", ".publishsettings")), name
        assert path.name not in {"local.settings.json", ".env", "keys.json", ".npmrc", ".netrc", ".pypirc"}, name
        assert ".local" not in path.relative_to(ROOT).parts, name


_RANDOM = random.Random(6)


def _some(alphabet: str, length: int) -> str:
    return "".join(_RANDOM.choices(alphabet, k=length))


_WORD = string.ascii_letters + string.digits
# Put together here, so that this file holds none itself.
PLANTED = {
    "key of a storage account": base64.b64encode(_RANDOM.randbytes(64)).decode(),
    "key in a connection string": "AccountKey=" + base64.b64encode(_RANDOM.randbytes(32)).decode(),
    "client secret of Microsoft Entra": "abc8Q" + "~" + _some(_WORD, 34),
    "signed URL": "https://prod-1.westeurope.logic.azure.com/workflows/1?sv=1.0&sig" + "=" + _some(_WORD, 43),
    "key in a URL": "https://contoso.azurewebsites.net/api/leads?code" + "=" + _some(_WORD, 54) + "==",
    "function key": _some(_WORD, 44) + "AzFu" + _some(_WORD, 5) + "A==",
    "private key": "-----BEGIN PRIVATE" + " KEY-----\n" + _some(_WORD, 64) + "\n",
    "webhook secret": "whsec" + "_" + _some(_WORD, 32),
    "token (JWT)": "eyJ" + _some(_WORD, 20) + ".eyJ" + _some(_WORD, 40) + "." + _some(_WORD, 43),
    "token of GitHub": "ghp" + "_" + _some(_WORD, 36),
    "token of HubSpot": "pat-eu1" + "-12345678-1234-1234-1234-123456789abc",
    "token of Slack": "xoxb" + "-" + _some(string.digits, 24),
    "token of npm or PyPI": "npm" + "_" + _some(_WORD, 36),
    "key of AWS or Google": "AKIA" + _some(string.ascii_uppercase, 16),
    "password in a URL": "smtp://leads:" + "p7Kd0aZq92LmXe" + "@smtp.example.com:587",
    "value of a secret setting": '"DYNAMICS_CLIENT_SECRET": ' + '"' + "f3Kd0aZq92LmXeR7wPq1Tz" + '"',
}


def test_every_pattern_has_its_planted_secret() -> None:
    assert PLANTED.keys() == PATTERNS.keys()


@pytest.mark.parametrize("kind", PATTERNS)
@settings(max_examples=20)
@given(before=st.text(alphabet="ab \n\"'=:,(", max_size=30), after=st.text(alphabet="ab \n\"',)", max_size=30))
def test_a_planted_secret_is_found_wherever_it_stands(kind: str, before: str, after: str) -> None:
    text = f"{before}\n{PLANTED[kind]} {after}"
    assert Found(kind, before.count("\n") + 2) in set(scan(text))


@pytest.mark.parametrize("kind", ["private key"])
def test_a_secret_in_a_string_of_code_or_json_is_found(kind: str) -> None:
    for form in (PLANTED[kind].replace("\n", "\\n"), PLANTED[kind].replace("\n", '"\n  "')):
        assert Found(kind, 1) in set(scan(f'"{form}"'))


def test_storage_keys_are_found_in_every_notation_of_a_connection_string() -> None:
    key = PLANTED["key of a storage account"]
    for text in (
        f"DefaultEndpointsProtocol=https;AccountName=contoso;AccountKey={key};EndpointSuffix=core.windows.net",
        f"accountkey={key}",
        f'"LEADS_INBOX": "AccountName=a;AccountKey={key}"',
        f"key = '{key}'",
    ):
        assert list(scan(text)), text


@pytest.mark.parametrize(
    "harmless",
    [
        *PUBLIC,
        "UseDevelopmentStorage=true",
        "AccountKey=…",
        "AccountKey=<key>;EndpointSuffix=core.windows.net",
        "https://contoso.azurewebsites.net/api/leads?code=KEY",
        "https://prod-1.logic.azure.com/workflows/1?sv=1.0&sig=SECRET",
        "smtp://user:password@smtp.example.com:587",
        "smtp://leads%40contoso.com:the-password@smtp.office365.com",
        "-----BEGIN PRIVATE KEY----- (RSA, no passphrase) and its -----BEGIN CERTIFICATE-----",
        '"DYNAMICS_CLIENT_SECRET": ""',
        "client_secret='the-secret-of-the-test'",
        '"integrity": "sha512-' + "a" * 86 + '=="',
        "@Microsoft.KeyVault(VaultName=contoso;SecretName=DYNAMICS-CLIENT-SECRET)",
        "0123456789abcdef-0123456789abcdef",
    ],
)
def test_what_is_no_secret_is_left_alone(harmless: str) -> None:
    assert list(scan(harmless)) == []


def test_a_report_never_quotes_the_secret() -> None:
    for secret in PLANTED.values():
        for found in scan(secret):
            assert secret not in str(found)
