"""What `realtts doctor` makes of what it found: each problem with the command that mends it."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

from realtts.cli import readiness
from realtts.cli.places import HERE, ISOLATED, NOWHERE
from realtts.machine.installer import installs_with_pip
from realtts.registry.offers import distribution_of_provider

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["problems"]

_CUDA_WHEELS = "https://download.pytorch.org/whl/cu128"


def problems(report: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return everything that is missing, each with ``what`` and ``fix``.

    Args:
        report: What the doctor gathered.
    """
    findings = [
        *_of_providers(report),
        *_of_default(report),
        *_of_torch(report),
        *_of_audio(report),
        *_of_settings(report),
        *readiness.problems(report),
    ]
    return [{"what": what, "fix": fix} for what, fix in findings]


def _of_providers(report: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    providers = report["providers"]
    if not any(provider["broken"] is None for provider in providers):
        yield "no usable provider is installed", _pip("realtts-espeak")
    for plugin in (*providers, *report["extensions"]):
        if plugin["broken"] is None:
            continue
        kind = "provider" if plugin in providers else "extension"
        if kind == "provider" and plugin["place"] == ISOLATED:
            what = f"the environment of {plugin['name']!r} cannot be used: {plugin['broken']}"
            yield what, f"{_isolated(plugin)} --upgrade"
            continue
        names = plugin["distribution"].split(" and ")
        clash = len(names) > 1
        fix = f"pip uninstall {shlex.quote(names[-1])}" if clash else _pip("--force-reinstall", names[0])
        alone = f", or {_isolated(plugin)}" if kind == "provider" and not clash else ""
        yield f"the {kind} {plugin['name']!r} is broken", f"{fix}{alone}"
    for provider in providers:
        if provider["conflicts"]:
            what = (
                f"{provider['name']!r} may not work beside what is installed here: {'; '.join(provider['conflicts'])}"
            )
            yield what, _isolated(provider)
        elif provider["place"] == NOWHERE and provider["broken"] is None:
            yield f"{provider['name']!r} cannot run: {provider['why']}", _isolated(provider)


def _of_default(report: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    default = report.get("default", {})
    name = default.get("name")
    if name is not None and name not in {entry["name"] for entry in report["providers"] if entry["broken"] is None}:
        what = f"the default provider {name!r} cannot be used ({default['why']})"
        yield what, "realtts default NAME chooses another, realtts default --unset takes the choice back"


def _of_torch(report: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    torch, gpus = report["torch"], report["gpus"]
    wanting = [p for p in report["providers"] if p["broken"] is None and p["place"] == HERE and p["torch"]]
    if not torch["installed"]:
        if wanting:
            alone = ", ".join(map(_isolated, wanting))
            yield (
                f"torch is missing, which {', '.join(p['name'] for p in wanting)} needs",
                (f"{_pip('realtts[torch]')}, or in an environment of its own: {alone}"),
            )
    elif torch["error"]:
        yield f"torch cannot be imported: {torch['error']}", _pip("--force-reinstall", "torch")
    elif gpus and not torch["cuda_build"] and not torch["hip_build"]:
        fix = _pip("--force-reinstall", "torch", "--index-url", _CUDA_WHEELS)
        yield "there is an NVIDIA GPU, but torch is built without CUDA", fix
    elif gpus and torch["cuda_build"] and not torch["cuda_available"]:
        what = f"torch (CUDA {torch['cuda_build']}) cannot use the NVIDIA GPU (driver {gpus[0]['driver']})"
        yield what, "update the driver, or check CUDA_VISIBLE_DEVICES and the container's access to the GPU"


def _of_audio(report: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    audio = report["audio"]
    if audio["error"]:
        yield f"no audio can be written: {audio['error']}", _pip("--force-reinstall", "soundfile")
    elif not (audio["mp3"] and audio["opus"]):
        what = f"libsndfile {audio['libsndfile']} cannot write MP3 or Opus"
        yield what, _pip("--upgrade", "--force-reinstall", "soundfile")


def _of_settings(report: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    settings, disk = report["settings"], report["disk"]
    if settings["error"]:
        yield settings["error"], settings["fix"]
    if not disk["writable"]:
        yield f"the data folder {disk['folder']} cannot be written", "set REALTTS_DATA_DIR to a folder that can"


def _isolated(provider: Mapping[str, Any]) -> str:
    """Return the command that gives a provider an environment of its own."""
    name, distribution = provider["name"], provider["distribution"]
    source = "" if distribution in {distribution_of_provider(name), ""} else f" --from {shlex.quote(distribution)}"
    return f"realtts install {name}{source}"


def _pip(*arguments: str) -> str:
    program = "pip install" if installs_with_pip() else "uv pip install"
    return f"{program} {shlex.join(arguments)}"
