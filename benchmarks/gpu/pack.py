"""Fill .gpu/ at the root of the sources with the wheels that the machine with the GPU lacks. Run it where pip can.

    python benchmarks/gpu/pack.py [--folder .gpu]

The versions were tried together, with Python 3.12, torch 2.11 and transformers 5.17 already there. Packages of which
nothing is used but an import have stand-ins beside this file.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

__all__ = ["WHEELS", "download_command", "main"]

PYTHON = "3.12"
PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_27_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64",
             "manylinux1_x86_64")  # fmt: skip

WHEELS: dict[str, tuple[str, ...]] = {
    "common": (
        "annotated-types==0.8.0", "cffi==2.1.1", "importlib-metadata==10.2.0", "lazy-importer==0.1.0",
        "platformdirs==4.14.8", "pycparser==3.12", "pydantic==2.14.4", "pydantic-core==2.50.5", "sentencex==1.0.32",
        "soundfile==0.14.0", "soxr==1.1.0", "typing-inspection==0.4.5",
    ),
    "chatterbox": (
        "audioread==3.1.0", "chatterbox-tts==0.1.7", "conformer==0.3.2", "decorator==5.3.1", "diffusers==0.29.0",
        "librosa==0.11.0", "omegaconf==2.4.0", "pooch==1.9.0", "pyloudnorm==0.2.0", "s3tokenizer==0.3.0",
    ),
    "f5": (
        "einx==0.4.3", "f5-tts==1.1.22", "frozendict==2.5.1", "loguru==0.7.3", "pydub==0.25.1", "pypinyin==0.55.0",
        "rjieba==0.2.2", "torch-einops-utils==0.2.0", "vocos==0.1.0", "x-transformers==2.31.10",
    ),
    "g2p": ("sea-g2p==0.10.0",),
    # Of qwen-tts and faster-qwen3-tts alone: ahead of the others for the stages that `launch` names.
    "qwen": (
        "faster-qwen3-tts==0.3.2", "qwen-tts==0.1.1", "transformers==4.57.6", "tokenizers==0.22.2",
        "huggingface-hub==0.36.2",
    ),
}  # fmt: skip
"""Requirements by the folder that they are unpacked into."""

BUILT = {"f5": ("encodec==0.1.1",)}
"""Published as sources alone; of pure Python."""


def main(arguments: list[str] | None = None) -> int:
    """Download what is not there yet; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path(__file__).resolve().parents[2] / ".gpu")
    folder: Path = parser.parse_args(arguments).folder
    for name in WHEELS:
        target = folder / "wheels" / name
        target.mkdir(parents=True, exist_ok=True)
        subprocess.run(download_command(name, target), check=True)  # noqa: S603 - this interpreter's pip
        for requirement in BUILT.get(name, ()):
            if not any(target.glob(f"{requirement.partition('==')[0]}-*.whl")):
                build = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(target), requirement]
                subprocess.run(build, check=True)  # noqa: S603 - this interpreter's pip
        size = sum(wheel.stat().st_size for wheel in target.glob("*.whl"))
        sys.stdout.write(f"{name}: {size / 2**20:.1f} MiB\n")
    return 0


def download_command(name: str, target: Path) -> list[str]:
    """Return the command that downloads the wheels of a folder, for the other machine's Python."""
    platforms = [word for platform in PLATFORMS for word in ("--platform", platform)]
    fixed = ["--no-deps", "--only-binary=:all:", "--python-version", PYTHON, "--implementation", "cp", *platforms]
    return [sys.executable, "-m", "pip", "download", "-q", *fixed, "-d", str(target), *WHEELS[name]]


if __name__ == "__main__":
    sys.exit(main())
