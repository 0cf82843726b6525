"""Kill ``realtts batch`` at random and go on, until everything is spoken; compare with a run that nobody disturbed.

python benchmarks/batch_kills.py --provider espeak --rows 1000 --kills 10
python benchmarks/batch_kills.py --provider toylm --model CHECKPOINT --rows 200 --kills 10 --workers 2

One kill in four comes while the job begins, the others somewhere behind the first row that it notes.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

_WORDS = ("the", "river", "stone", "walks", "sings", "quickly", "seven", "lights", "under", "cold", "garden", "again")


def main() -> int:
    """Run both jobs and print what differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--provider", default="espeak")
    parser.add_argument("--model")
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    draw = random.Random(arguments.seed)  # noqa: S311 - not for secrets
    with tempfile.TemporaryDirectory() as folder:
        source = write_table(Path(folder, "texts.jsonl"), arguments.rows, draw)
        whole, killed = Path(folder, "whole"), Path(folder, "killed")
        took = undisturbed(command(arguments, source, whole), whole)
        for number in range(arguments.kills):
            process = subprocess.Popen([*command(arguments, source, killed), "--resume"])  # noqa: S603
            before, early = noted(killed), draw.random() < 0.25
            while not early and noted(killed) <= before and process.poll() is None:
                time.sleep(0.01)
            time.sleep(draw.uniform(0.0, 1.0) * (2.0 if early else took / arguments.kills))
            process.send_signal(signal.SIGKILL)
            process.wait()
            print(f"kill {number + 1}: {noted(killed)} rows", flush=True)
        subprocess.run([*command(arguments, source, killed), "--resume"], check=True)  # noqa: S603
        return report(whole, killed)


def undisturbed(words: list[str], folder: Path) -> float:
    """Run a job to its end; the seconds from the first row that it notes on."""
    with subprocess.Popen(words) as process:  # noqa: S603 - our own command
        while not noted(folder) and process.poll() is None:
            time.sleep(0.01)
        began = time.monotonic()
        if process.wait() != 0:
            raise SystemExit(process.returncode)
    return time.monotonic() - began


def noted(folder: Path) -> int:
    """Return the rows that a job has noted."""
    try:
        return len((folder / "manifest.jsonl").read_bytes().splitlines())
    except OSError:
        return 0


def command(arguments: argparse.Namespace, source: Path, folder: Path) -> list[str]:
    """Return the command line of a job."""
    start = [sys.executable, "-m", "realtts", "batch", str(source), "-o", str(folder), "-p", arguments.provider]
    start += ["--model", arguments.model] if arguments.model else []
    return [*start, "--seed", "1", "--workers", str(arguments.workers), "--quiet"]


def write_table(path: Path, rows: int, draw: random.Random) -> Path:
    """Write texts of 3 to 12 words."""
    with path.open("w", encoding="utf-8") as file:
        for number in range(rows):
            text = " ".join(draw.choice(_WORDS) for _ in range(draw.randint(3, 12))).capitalize() + "."
            file.write(json.dumps({"id": f"row-{number}", "text": text}) + "\n")
    return path


def report(whole: Path, killed: Path) -> int:
    """Print what differs, and how often a row was spoken; return 1 where something is not as it should be."""
    names = {path.name for folder in (whole, killed) for path in folder.iterdir()} - {"log.jsonl"}
    different = [name for name in sorted(names) if contents(whole / name) != contents(killed / name)]
    lines = (killed / "log.jsonl").read_text(encoding="utf-8").splitlines()
    numbers = [json.loads(line)["number"] for line in lines if line.endswith("}") and line.startswith("{")]
    twice = len(numbers) - len(set(numbers))
    print(f"{len(names)} files, {len(different)} different, {twice} rows noted twice")
    return 1 if different or twice else 0


def contents(path: Path) -> bytes | None:
    """Return the bytes of a file; None where there is none."""
    return path.read_bytes() if path.is_file() else None


if __name__ == "__main__":
    raise SystemExit(main())
