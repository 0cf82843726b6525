"""``realtts bench --quality``: listening to what was timed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from realtts.cli import console

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

    from realtts.bench import Workload
    from realtts.contract.spec import ProviderSpec

__all__ = ["check_quality", "listen_if_asked"]


def check_quality(arguments: argparse.Namespace) -> None:
    """Check, before anything is timed, that what is timed can be listened to.

    Raises:
        InvalidOption: Random weights are to be timed. MissingExtra, CheckpointError: There is no recognizer.
    """
    if not arguments.quality:
        return
    from realtts.errors import InvalidOption
    from realtts.listening import find_recognizer
    from realtts.settings_sources import resolve_settings

    if arguments.random_weights is not None:
        what = "--quality and --random-weights are both given: random weights say no words"
        raise InvalidOption(what, who="realtts bench", fix="give one of the two")
    find_recognizer(resolve_settings().settings.recognizer)


def listen_if_asked(
    record: dict[str, Any], spec: ProviderSpec, workload: Workload, settings: Mapping[str, Any], *, asked: bool
) -> None:
    """Put the quality of every variant into a record, if that is wanted."""
    if not asked:
        return
    from realtts.bench import add_quality

    texts, _ = workload.spoken_by(spec)
    add_quality(
        record, spec.name, texts.texts, settings=settings, voice=workload.voice, seed=workload.seed,
        options=workload.options, tell=console.err,
    )  # fmt: skip
