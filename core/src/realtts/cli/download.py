"""``realtts download``: fetch a provider's weights ahead of their first use."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from realtts.cli import console
from realtts.cli.parsing import add_command, add_model

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator

    from realtts.checkpoints import DownloadPlan, Files
    from realtts.contract.events import Event
    from realtts.contract.spec import Checkpoint

__all__ = ["add_parser"]


def add_parser(commands: Any) -> None:
    """Add ``realtts download``."""
    parser = add_command(
        commands,
        "download",
        _download,
        """Fetch the weights of a provider into the hub's cache.

        Source, licence and size are shown first. Ctrl-C keeps what has arrived, and the next try goes on from there.
        What is in the cache already is not fetched again.

        Examples:

            realtts download chatterbox --dry-run
            realtts download chatterbox
            realtts download f5 --model owner/finetune@v2
        """,
    )
    parser.add_argument("name", metavar="NAME", help="provider")
    add_model(parser, "checkpoint name, or hub id owner/name[@revision]; default: the first one")
    parser.add_argument("--dry-run", action="store_true", help="show what would be fetched, and fetch nothing")
    parser.add_argument(
        "--verify", action="store_true", help="read what is in the cache again; replace what is damaged"
    )
    parser.add_argument("--json", action="store_true", help="print JSON at the end")
    parser.set_defaults(quiet=True)  # what the library would warn of is shown here


def _download(arguments: argparse.Namespace) -> None:
    from realtts import checkpoints
    from realtts.errors import CheckpointError
    from realtts.provider.choice import choose
    from realtts.synthesis.model_choice import resolve_checkpoint

    checkpoint = resolve_checkpoint(arguments.model, choose(arguments.name, {}, None).spec, arguments.configuration)
    if checkpoint is None or not (checkpoint.source or checkpoint.path):
        _finish(
            arguments, {"provider": arguments.name, "files": {}}, "Nothing to download: the plugin has all it needs."
        )
        return
    if not checkpoint.files:
        raise CheckpointError(
            "its plugin does not say which files it needs", who=f"checkpoint {checkpoint.name!r}",
            fix=f"let it fetch them by itself: realtts status {arguments.name} --load",
        )  # fmt: skip
    planned = checkpoints.plan(checkpoint)
    if planned is not None and not arguments.json:
        _show(planned)
    if planned is not None and arguments.dry_run:
        _finish(arguments, _planned(arguments.name, planned), "Nothing was fetched (--dry-run).")
        return
    files = _fetch(checkpoint, verify=arguments.verify)
    here = planned is None or planned.complete
    _finish(
        arguments, {"provider": arguments.name, **_fetched(checkpoint, files)},
        f"{'All files were here already' if here else 'Done'}: {_folder(files)}",
    )  # fmt: skip


def _fetch(checkpoint: Checkpoint, *, verify: bool) -> Files:
    from realtts import checkpoints
    from realtts.cli.interrupts import Interrupts

    try:
        with Interrupts(), _progress() as report:
            return checkpoints.fetch(checkpoint, report=report, verify=verify)
    except KeyboardInterrupt:
        console.err("What has arrived is kept: the same command goes on from there.")
        raise


def _show(planned: DownloadPlan) -> None:
    amount = f"{len(planned.files)} files, {console.size(planned.size_bytes)}"
    left = "all in the cache" if planned.complete else f"{console.size(planned.missing_bytes)} to download"
    console.heading(planned.name)
    console.entry("source", f"{planned.repo} at {planned.revision}")
    console.entry("licence", planned.licence or "not stated")
    console.entry("size", f"{amount}; {left}")
    console.entry("folder", str(planned.folder))
    console.entry("free", console.size(planned.free_bytes))


def _planned(provider: str, planned: DownloadPlan) -> dict[str, Any]:
    return {
        "provider": provider,
        "name": planned.name,
        "source": planned.repo,
        "revision": planned.revision,
        "commit": planned.commit,
        "licence": planned.licence,
        "folder": str(planned.folder),
        "size_bytes": planned.size_bytes,
        "missing_bytes": planned.missing_bytes,
        "free_bytes": planned.free_bytes,
        "files": {file.name: file.size for file in planned.files},
    }


def _fetched(checkpoint: Checkpoint, files: Files) -> dict[str, Any]:
    return {
        "name": checkpoint.name,
        "source": files.source,
        "commit": files.revision,
        "files": {name: str(path) for name, path in files.items()},
    }


def _finish(arguments: argparse.Namespace, result: dict[str, Any], words: str) -> None:
    if arguments.json:
        console.out_json(result)
    else:
        console.out(words)


def _folder(files: Files) -> str:
    name, path = next(iter(files.items()))
    return str(path.parents[name.count("/")])


@contextlib.contextmanager
def _progress() -> Iterator[Callable[[Event], None]]:
    """Show a bar on standard error if that is a terminal; elsewhere only say who is waited for."""
    from realtts.cli.progress import DownloadProgress

    progress = DownloadProgress()
    try:
        yield lambda event: progress.show(event.name, event.data)
    finally:
        progress.close()
