"""Run stages of the campaign on a machine without an index: unpack .gpu/, put everything on the path, and begin.

    python3 benchmarks/gpu/launch.py --budget 480 --out out env micro attention glue faults tests

Arguments are those of ``python -m gpu run``. It needs torch and the standard library alone: a wheel is an archive, so
that no pip is needed either.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import zipfile
from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["environment_of", "main", "unpack", "write_entry_points"]

ROOT = Path(__file__).resolve().parents[2]
APART = {"qwen": ("parity_qwen3", "rival")}
"""Folders of wheels that only some stages see, because their versions exclude those of the others."""

VARIABLE = "CAMPAIGN_PATH_"


def main(arguments: list[str] | None = None) -> None:
    """Begin; this process becomes the campaign."""
    site = Path(os.environ.get("CAMPAIGN_SITE") or Path(tempfile.gettempdir(), "realtts-gpu-site"))
    unpack(ROOT / ".gpu" / "wheels", site)
    write_entry_points(ROOT, site / "realtts")
    command = [sys.executable, "-m", "gpu", "run", *(sys.argv[1:] if arguments is None else arguments)]
    os.execve(sys.executable, command, environment_of(ROOT, site, dict(os.environ)))  # noqa: S606 - this interpreter


def unpack(wheels: Path, site: Path) -> None:
    """Unpack each folder of wheels into a folder of its name; one that is there already is left."""
    for folder in sorted(wheels.glob("*")) if wheels.is_dir() else ():
        target = site / folder.name
        if target.exists():
            continue
        for wheel in sorted(folder.glob("*.whl")):
            with zipfile.ZipFile(wheel) as archive:
                archive.extractall(target)
        for data in target.glob("*.data/*lib"):
            shutil.copytree(data, target, dirs_exist_ok=True)


def write_entry_points(root: Path, target: Path) -> None:
    """Write what makes core and plugins look installed: their metadata with their entry points."""
    for project_file in (root / "core/pyproject.toml", *sorted(root.glob("plugins/*/pyproject.toml"))):
        project = tomllib.loads(project_file.read_text(encoding="utf-8"))["project"]
        name, version = project["name"], project["version"]
        folder = target / f"{name.replace('-', '_')}-{version}.dist-info"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", encoding="utf-8")
        groups = project.get("entry-points", {})
        lines = [f"[{group}]\n" + "".join(f"{key} = {value}\n" for key, value in entries.items())
                 for group, entries in groups.items()]  # fmt: skip
        (folder / "entry_points.txt").write_text("\n".join(lines), encoding="utf-8")


def environment_of(root: Path, site: Path, environ: dict[str, str]) -> dict[str, str]:
    """Return the variables of the campaign: sources first, then stand-ins, then what was unpacked."""
    sources = [root / "benchmarks", root / "core/src", *sorted(root.glob("plugins/*/src"))]
    unpacked = [folder for folder in sorted(site.glob("*")) if folder.is_dir() and folder.name not in APART]
    stand_ins = [root / "benchmarks/gpu/stand_ins"]
    path = os.pathsep.join(map(str, [*sources, *stand_ins, *unpacked]))
    apart = {
        f"{VARIABLE}{stage}": str(site / folder)
        for folder, stages in APART.items()
        for stage in stages
        if (site / folder).is_dir()
    }
    return {
        **environ,
        **apart,
        "PYTHONPATH": os.pathsep.join(filter(None, [path, environ.get("PYTHONPATH", "")])),
        "PYTHONUNBUFFERED": "1",
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
    }


if __name__ == "__main__":
    main()
