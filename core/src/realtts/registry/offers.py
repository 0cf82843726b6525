"""Where plugins that are not installed can be had: beside the core that is in use, or from the package index."""

from __future__ import annotations

import json
import shlex
import zipfile
from configparser import ConfigParser, Error as ConfigError
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

import importlib_metadata

from realtts.documents import read_toml

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Offer", "distribution_of_provider", "how_to_install", "how_to_isolate", "offers"]

PUBLISHED = ("chatterbox", "espeak", "f5", "hibari", "kokoro", "openai-compatible", "piper", "qwen3", "vieneu")
"""Providers whose distributions are released together with the core."""

_DISTRIBUTIONS = {"openai-compatible": "realtts-remote"}
"""Distributions that are called otherwise than their providers."""

_GROUP = "realtts.providers"


class Offer(NamedTuple):
    """A plugin that can be installed.

    Attributes:
        provider: The provider that it brings.
        path: Its folder or wheel on this machine; None: the index has it.
    """

    provider: str
    path: Path | None = None

    @property
    def requirement(self) -> str:
        """What pip is given."""
        return shlex.quote(str(self.path)) if self.path is not None else distribution_of_provider(self.provider)

    @property
    def source(self) -> str:
        """Return the argument that `realtts install` needs beside the name."""
        return f" --from {self.requirement}" if self.path is not None else ""


def offers() -> dict[str, Offer]:
    """Return what can be installed, by provider.

    A core that runs from its sources, or that was installed from a folder or a wheel, has its plugins beside it; of one
    that came from the index, the index has them.
    """
    local = {offer.provider: offer for offer in _beside_the_core()}
    return local or {name: Offer(name) for name in PUBLISHED}


def distribution_of_provider(name: str) -> str:
    """Return the name of the distribution that brings a provider, as far as a name tells."""
    return _DISTRIBUTIONS.get(name, f"realtts-{name}")


def how_to_install(name: str) -> str:
    """Return the commands that install a provider, in an environment of its own or here; empty if nobody has it."""
    offer = offers().get(name)
    if offer is None:
        return ""
    where = (
        "both from the package index" if offer.path is None else f"{distribution_of_provider(name)}, from this machine"
    )
    return f"realtts install {name}{offer.source}, or pip install {offer.requirement} ({where})"


def how_to_isolate(name: str) -> str:
    """Return the command that gives a provider an environment of its own."""
    offer = offers().get(name)
    if offer is not None:
        return f"realtts install {name}{offer.source}"
    return f"realtts install {name} --from PLUGIN, with the plugin's folder, wheel or name on the index"


def _beside_the_core() -> Iterator[Offer]:
    core = _source_of_core()
    if core is None:
        return
    if core.suffix == ".whl":
        for wheel in sorted(core.parent.glob(f"realtts_*-{_version()}-*.whl")):
            yield from (Offer(name, wheel) for name in _providers_of_wheel(wheel))
        return
    for plugin in sorted(core.parent.glob("plugins/*/pyproject.toml")):
        yield from (Offer(name, plugin.parent) for name in _providers_of_project(plugin))


def _source_of_core() -> Path | None:
    """Return the folder or wheel that the core comes from; None: from an index."""
    sources = Path(__file__).absolute().parents[3]
    if (sources / "pyproject.toml").is_file():
        return sources
    try:
        text = importlib_metadata.distribution("realtts").read_text("direct_url.json")
        address = urlsplit(json.loads(text or "{}").get("url", ""))
    except (importlib_metadata.PackageNotFoundError, OSError, ValueError, AttributeError):
        return None
    if address.scheme != "file":
        return None
    path = Path(url2pathname(unquote(address.path)))
    return path if path.exists() else None


def _version() -> str:
    from realtts import __version__

    return __version__


def _providers_of_wheel(wheel: Path) -> list[str]:
    parser = ConfigParser(delimiters="=", interpolation=None)
    try:
        with zipfile.ZipFile(wheel) as archive:
            names = [name for name in archive.namelist() if name.endswith(".dist-info/entry_points.txt")]
            parser.read_string(archive.read(names[0]).decode() if names else "")
    except (OSError, ValueError, KeyError, zipfile.BadZipFile, ConfigError):
        return []
    return list(parser[_GROUP]) if parser.has_section(_GROUP) else []


def _providers_of_project(file: Path) -> list[str]:
    try:
        project = read_toml(file)["project"]
        return list(project["entry-points"][_GROUP])
    except (OSError, ValueError, KeyError, TypeError):
        return []
