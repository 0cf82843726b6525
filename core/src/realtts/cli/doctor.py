"""``realtts doctor``: what this machine offers, what is installed, what is missing and how to mend it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from realtts.cli import console, readiness
from realtts.cli.parsing import add_command

if TYPE_CHECKING:
    import argparse

    from realtts.settings import Settings

__all__ = ["add_parser"]

_WIDTH = 12


def add_parser(commands: Any) -> None:
    """Add ``realtts doctor``."""
    parser = add_command(
        commands,
        "doctor",
        _doctor,
        """Show what is missing and the command that mends it.

        Looks at Python, CPU, memory, disk, GPU, torch, audio, settings, every plugin and its weights, what 'realtts
        say' would do, and every isolated environment: whether its files are whole, its plugin imports there, and its
        versions are those of its lock. Loads no model. The exit code is 0 when everything is usable, 1 when something
        is missing.

        Examples:

            realtts doctor
            realtts doctor --json
        """,
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def _doctor(arguments: argparse.Namespace) -> int:
    report = _examine()
    if arguments.json:
        console.out_json(report)
    else:
        _show(report)
    return 1 if report["problems"] else 0


def _examine() -> dict[str, Any]:
    from pathlib import Path

    from realtts.cli import discovery, findings
    from realtts.machine import survey as machine

    settings = _settings()
    providers = _providers()
    report = {
        "python": machine.python(),
        "cpu": machine.cpu(),
        "memory": machine.memory(),
        "disk": machine.disk(Path(settings["data_dir"])),
        "gpus": machine.gpus(),
        "torch": machine.torch(),
        "audio": machine.audio(),
        "settings": settings,
        "providers": providers,
        "default": _default(),
        "extensions": discovery.list_extensions(),
        "weights": readiness.weights([provider["name"] for provider in providers]) if not settings["error"] else None,
        "say": readiness.speaker(),
    }
    return {**report, "problems": findings.problems(report)}


def _providers() -> list[dict[str, Any]]:
    """Return every provider: of this process with what their requirements lack here, isolated with their health."""
    from dataclasses import asdict

    from realtts.cli import discovery
    from realtts.cli.conflicts import conflicts
    from realtts.cli.places import HERE, ISOLATED
    from realtts.isolation.install.health import health
    from realtts.isolation.install.keeping import environment_names
    from realtts.registry import providers as registry

    specs = {entries.name: entries.spec for entries in registry.installed()}
    entries = discovery.list_providers()
    listed = {provider["name"] for provider in entries}
    entries += [_unreadable(name) for name in environment_names(_settings_of(None)) if name not in listed]
    for provider in entries:
        spec = specs.get(provider["name"]) if provider["place"] == HERE else None
        provider["conflicts"] = conflicts(provider["distribution"], spec) if spec is not None else []
        if provider["place"] == ISOLATED:
            state = health(provider["name"], _settings_of(provider["name"]))
            provider["environment"] = asdict(state)
            provider["broken"] = provider["broken"] or state.fault
    return entries


def _unreadable(name: str) -> dict[str, Any]:
    """Return the entry of an environment that is not even listed; its health says why."""
    from realtts.cli.places import ISOLATED

    return {"name": name, "place": ISOLATED, "why": "", "distribution": "", "version": "", "broken": None}


def _settings_of(name: str | None) -> Settings | None:
    """Return the settings, of a provider if one is named; None where they are wrong, which is reported elsewhere."""
    from realtts.errors import SettingsError
    from realtts.settings_sources import resolve_settings

    try:
        return resolve_settings(name).settings
    except SettingsError:
        return None


def _default() -> dict[str, Any]:
    """Return who speaks when a command names nobody, and why."""
    from realtts.cli.discovery import find_default

    chosen, why = find_default()
    return {"name": chosen.name if chosen is not None else None, "why": why}


def _settings() -> dict[str, Any]:
    """Return what is set, where, and whether it is right."""
    from realtts.errors import SettingsError
    from realtts.folders import data_folder
    from realtts.settings_sources import data_dir, resolve_settings

    try:
        layers = resolve_settings()
    except SettingsError as error:
        fault = f"{error.who}: {error.what}"
        return {"data_dir": str(data_folder()), "in_force": {}, "error": fault, "fix": error.fix}
    values = layers.settings.model_dump(mode="json")
    return {
        "data_dir": str(data_dir(layers.settings)),
        "in_force": {name: {"value": values[name], "from": source} for name, source in layers.sources.items()},
        "error": None,
        "fix": "",
    }


def _show(report: dict[str, Any]) -> None:
    console.heading("machine")
    python, cpu, memory, disk = report["python"], report["cpu"], report["memory"], report["disk"]
    where = f", environment {python['virtual_environment']}" if python["virtual_environment"] else ""
    _entry("Python", f"{python['version']} ({python['executable']}{where})")
    _entry("system", python["system"])
    _entry("CPU", f"{cpu['name']}, {cpu['physical_cores']} physical cores, {' '.join(cpu['features'])}")
    _entry("memory", f"{console.size(memory['available'])} available of {console.size(memory['total'])}")
    _entry("disk", f"{console.size(disk['free'])} free in {disk['folder']}")
    for gpu in report["gpus"] or [None]:
        _entry("GPU", _gpu(gpu))
    _entry("torch", _torch(report["torch"]))
    _show_audio(report["audio"])
    console.heading("settings")
    _show_settings(report["settings"])
    for kind in ("providers", "extensions"):
        console.heading(kind)
        for plugin in report[kind]:
            _entry(plugin["name"], _plugin(plugin))
            if kind == "providers" and report["weights"] is not None and not plugin["broken"]:
                _entry("", readiness.described(plugin["name"], report["weights"]))
            if "environment" in plugin:
                _show_environment(plugin["environment"])
        if not report[kind]:
            _entry("none", "")
    _show_speaker(report)
    _show_problems(report["problems"])


def _show_speaker(report: dict[str, Any]) -> None:
    console.heading("realtts say, with no provider named")
    said, about = report["say"], report["weights"]
    if said["provider"] is None:
        _entry("nothing", said["error"])
        return
    if said["model"] is not None:
        weights = f"model {said['model']!r}"
    else:
        weights = readiness.described(said["provider"], about) if about is not None else ""
    _entry(said["provider"], report["default"]["why"])
    _entry("", weights)
    if about is not None:
        _entry("cache", f"{about['cache']}, {console.size(about['free'])} free")
        if about["network"] is not None:
            _entry("hub", about["network"])


def _entry(label: str, text: str) -> None:
    console.entry(label, text, label_width=_WIDTH)


def _gpu(gpu: dict[str, str] | None) -> str:
    if gpu is None:
        return "no NVIDIA GPU"
    return f"{gpu['name']}, {gpu['memory']}, compute capability {gpu['compute_capability']}, driver {gpu['driver']}"


def _torch(torch: dict[str, Any]) -> str:
    if not torch["installed"]:
        return "not installed"
    if torch["error"]:
        return f"BROKEN: {torch['error']}"
    if torch["cuda_build"]:
        build = f"CUDA {torch['cuda_build']}"
    else:
        build = f"ROCm {torch['hip_build']}" if torch["hip_build"] else "CPU build"
    seen = ", ".join(torch["devices"]) or ("mps" if torch["mps"] else "cpu only")
    return f"{torch['version']}, {build}, runs on: {seen}"


def _show_audio(audio: dict[str, Any]) -> None:
    if audio["error"]:
        _entry("libsndfile", f"BROKEN: {audio['error']}")
    else:
        formats = [name for name in ("mp3", "opus") if audio[name]]
        _entry("libsndfile", f"{audio['libsndfile']}, writes wav, flac{''.join(f', {name}' for name in formats)}")
    hint = "none (for --play: install pulseaudio-utils, alsa-utils, ffmpeg or sox)"
    _entry("players", ", ".join(audio["players"]) or hint)


def _show_settings(settings: dict[str, Any]) -> None:
    if settings["error"]:
        _entry("BROKEN", settings["error"])
    elif not settings["in_force"]:
        _entry("none", "everything has its default value")
    for name, setting in settings["in_force"].items():
        _entry(name, f"{setting['value']}, from {setting['from']}")


def _plugin(plugin: dict[str, Any]) -> str:
    brought = f"{plugin['distribution']} {plugin['version']}".strip()
    if plugin["broken"] and "environment" in plugin:
        return f"BROKEN ({brought})" if brought else "BROKEN"  # the environment's lines say how
    if plugin["broken"]:
        return f"BROKEN: {plugin['broken']}"
    # Extensions always run here.
    return f"ok ({brought}), {plugin['place']}: {plugin['why']}" if "place" in plugin else f"ok ({brought})"


def _show_environment(state: dict[str, Any]) -> None:
    """Show whether an environment is whole, runs and is current, and what speaking with it would do."""
    unknown = "not known, since its plugin cannot be run" if state["runs"] is not None else "yes"
    for label, value, good in (
        ("whole", state["whole"], unknown),
        ("runs", state["runs"] and f"no: {state['runs']}", "yes"),
        ("current", state["current"], unknown),
    ):
        _entry("", f"{label}: {console.one_line(value) if value else good}")
    if state["torch"] is not None:
        _entry("", f"torch: {_torch(state['torch'])}")
    _entry("", f"say: {state['say']}")


def _show_problems(problems: list[dict[str, str]]) -> None:
    if not problems:
        console.heading("nothing is missing")
        return
    console.heading("what is missing, and what mends it")
    for problem in problems:
        console.problem(problem["what"], problem["fix"])
