"""Fetch a checkpoint's files, tell which model they are, and check every tensor by name and shape."""

from __future__ import annotations

from typing import TYPE_CHECKING

from realtts import checkpoints
from realtts.accel.weights.tensorfile import read_state, shapes_of
from realtts.kit.reading import check_shapes, configuration_of
from realtts.kit.shards import index_of, with_shards
from realtts_chatterbox.configurations import CONFIGURATIONS
from realtts_chatterbox.files import BUILTIN, COMPUTED, FILES, S3GENS, T3_FILES, VOICE_ENCODERS, spare_in
from realtts_chatterbox.shapes import s3gen_shapes, t3_shapes, voice_encoder_shapes
from realtts_chatterbox.sizes import s3gen_sizes, t3_sizes
from realtts_chatterbox.text import TextReader
from realtts_chatterbox.voices import read_builtin
from realtts_chatterbox.weights import ModelFiles, Weights

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from realtts.contract.events import Event
    from realtts.contract.spec import Checkpoint
    from realtts_chatterbox.configurations import Configuration

    Shapes = dict[str, tuple[int, ...]]

__all__ = ["Weights", "fetch", "open_checkpoint"]


def fetch(checkpoint: Checkpoint | None, report: Callable[[Event], None] | None = None) -> ModelFiles:
    """Return the files of a checkpoint, downloading those that are not there yet.

    The spec's own checkpoints are known by name; of a local folder or another repository, the name of T3's file tells
    which model it is.

    Args:
        checkpoint: ``context.checkpoint``.
        report: ``context.report``.

    Raises:
        CheckpointError: As `realtts.checkpoints.fetch`, or nothing tells which model it is.
    """
    configuration = configuration_of(checkpoint, CONFIGURATIONS) or _configuration_of(checkpoint, report)
    return ModelFiles(configuration, checkpoints.fetch(checkpoint, FILES[configuration.name], report=report))


def open_checkpoint(model_files: ModelFiles) -> Weights:
    """Read the vocabulary and the built-in voice, and check that all tensors are there, in the right shapes.

    Args:
        model_files: From `fetch`.

    Raises:
        CheckpointCorrupt: A file cannot be read.
        CheckpointMismatch: A tensor is missing, unexpected or misshapen.
    """
    name, files = model_files.configuration.name, model_files.files
    t3, s3gen, voice = files.first(T3_FILES[name]), files.first(*S3GENS), files.first(*VOICE_ENCODERS)
    reader = TextReader(files, name)
    builtin = read_builtin(files[BUILTIN]) if BUILTIN in files else None
    in_t3, in_s3gen, in_voice = (shapes_of(read_state(path)) for path in (t3, s3gen, voice))
    of_t3 = t3_sizes(in_t3, name, f"file {t3.name!r}")
    of_s3gen = s3gen_sizes(in_s3gen, f"file {s3gen.name!r}")
    _check(t3, in_t3, t3_shapes(name, of_t3))
    _check(s3gen, in_s3gen, s3gen_shapes(name, of_s3gen))
    _check(voice, in_voice, voice_encoder_shapes())
    return Weights(
        configuration=model_files.configuration,
        t3_sizes=of_t3,
        s3gen_sizes=of_s3gen,
        t3_file=t3,
        s3gen_file=s3gen,
        voice_file=voice,
        reader=reader,
        builtin=builtin,
        identity=files.identity(*VOICE_ENCODERS, *S3GENS),
    )


def _check(path: Path, shapes: Shapes, expected: Shapes) -> None:
    """Compare a file's tensors with those of upstream's network."""
    check_shapes(shapes, expected, f"file {path.name!r}", computed=COMPUTED, spare=spare_in(path, shapes))


def _configuration_of(checkpoint: Checkpoint | None, report: Callable[[Event], None] | None) -> Configuration:
    """Tell the model by its T3 file, which is fetched before the others."""
    files = checkpoints.fetch(checkpoint, with_shards([tuple(T3_FILES.values())]), report=report)
    return CONFIGURATIONS[next(name for name, file in T3_FILES.items() if {file, index_of(file)} & {*files})]
