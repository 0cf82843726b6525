"""The campaign's commands: run, record, compare, plot, and the list of what is to be run."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpu.campaign import run_campaign
from gpu.compare import table_of
from gpu.page import page_of
from gpu.pictures import draw
from gpu.record import KIND, make_record
from gpu.setup import MODELS, Setup
from gpu.stages import COMMANDS, check_stages, run_stage

if TYPE_CHECKING:
    from collections.abc import Sequence

_MOST_S = 590.0
_ROOT = Path(__file__).resolve().parents[2]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; the exit code."""
    parsed = _parser().parse_args(arguments)
    code: int = parsed.run(parsed)
    return code


def _run(parsed: argparse.Namespace) -> int:
    wrong = check_stages(parsed.stages)
    if wrong:
        sys.stderr.write(f"no such stage: {', '.join(wrong)}\n")
        return 2
    run_campaign(_setup(parsed), parsed.stages, budget_s=parsed.budget, write=parsed.write)
    return 0


def _stage(parsed: argparse.Namespace) -> int:
    return 0 if run_stage(parsed.stage, _setup(parsed)) else 1


def _record(parsed: argparse.Namespace) -> int:
    record = make_record(parsed.folders, label=parsed.label, commit=parsed.commit)
    if parsed.output is not None:
        parsed.output.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    if parsed.page is not None:
        parsed.page.write_text(page_of(record), encoding="utf-8")
    brief = {name: record[name] for name in ("kind", "card", "label", "commit")}
    sys.stdout.write(json.dumps({**brief, "errors": len(record["errors"])}) + "\n")
    return 0


def _compare(parsed: argparse.Namespace) -> int:
    sys.stdout.write(table_of(_read(parsed.before), _read(parsed.after), least=parsed.least) + "\n")
    return 0


def _plot(parsed: argparse.Namespace) -> int:
    draw([_read(path) for path in parsed.records], parsed.output)
    return 0


def _commands(parsed: argparse.Namespace) -> int:
    for command in COMMANDS:
        sys.stdout.write(" ".join(command.words(parsed.out)) + "\n")
    return 0


def _read(path: Path) -> Any:
    record = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(record, dict) or record.get("kind") != KIND:
        raise SystemExit(f"{path} is no record of this campaign")
    return record


def _setup(parsed: argparse.Namespace) -> Setup:
    return Setup(parsed.out.absolute(), parsed.checkpoints.absolute(), parsed.repository.absolute(), dry=parsed.dry)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="gpu", description="Measure realtts on a GPU.")
    commands = parser.add_subparsers(required=True)
    run = commands.add_parser("run", help="run stages, each in a process of its own")
    run.add_argument("stages", nargs="+")
    run.add_argument("--budget", type=float, default=_MOST_S, help="seconds for all stages")
    run.add_argument(
        "--write", nargs="*", default=[], choices=list(MODELS), help="models whose weights are written, too"
    )
    stage = commands.add_parser("stage", help="run one stage in this process")
    stage.add_argument("stage")
    for each, function in ((run, _run), (stage, _stage)):
        each.set_defaults(run=function)
        each.add_argument("--out", type=Path, required=True, help="folder of the findings")
        folder = Path(tempfile.gettempdir(), "realtts-gpu")
        each.add_argument("--checkpoints", type=Path, default=folder, help="folder of random weights")
        each.add_argument("--repository", type=Path, default=_ROOT, help="root of the sources")
        each.add_argument("--dry", action="store_true", help="tiny weights on the CPU, to try the campaign")
    record = commands.add_parser("record", help="make a record of findings")
    record.add_argument("folders", nargs="+", type=Path)
    record.add_argument("-o", "--output", type=Path, help="JSON file")
    record.add_argument("--page", type=Path, help="page for docs/benchmarks")
    record.add_argument("--label", default="")
    record.add_argument("--commit", default="", help="of the sources that were measured")
    record.set_defaults(run=_record)
    compare = commands.add_parser("compare", help="compare two records")
    compare.add_argument("before", type=Path)
    compare.add_argument("after", type=Path)
    compare.add_argument("--least", type=float, default=0.0, help="leave out what changed by a smaller share")
    compare.set_defaults(run=_compare)
    plot = commands.add_parser("plot", help="draw records")
    plot.add_argument("records", nargs="+", type=Path)
    plot.add_argument("-o", "--output", type=Path, required=True, help=".png, .svg or .pdf")
    plot.set_defaults(run=_plot)
    listing = commands.add_parser("commands", help="print the four commands")
    listing.add_argument("--out", default="out")
    listing.set_defaults(run=_commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
