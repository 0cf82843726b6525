"""A checkpoint's files: which model they are of, and its tensors, refused by name where they are another's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from realtts import checkpoints
from realtts.accel.weights.tensorfile import read_state, shapes_of
from realtts.kit.reading import check_shapes, known
from realtts_chatterbox.building import COMPUTED, empty_s3gen, empty_t3, empty_voice_encoder, spare_in
from realtts_chatterbox.configurations import CONFIGURATIONS
from realtts_chatterbox.files import BUILTIN, FILES, S3GENS, T3_FILES, VOICE_ENCODERS
from realtts_chatterbox.sizes import s3gen_sizes, t3_sizes
from realtts_chatterbox.text import TextReader
from realtts_chatterbox.voices import read_builtin

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from realtts.accel.weights.tensorfile import State
    from realtts.checkpoints import Files
    from realtts.contract.events import Event
    from realtts.contract.spec import Checkpoint
    from realtts_chatterbox.conditionals import Conditionals
    from realtts_chatterbox.configurations import Configuration
    from realtts_chatterbox.sizes import S3GenSizes, T3Sizes

__all__ = ["Found", "Weights", "fetch", "open_checkpoint"]


@dataclass(frozen=True)
class Found:
    """The files of a model.

    Attributes:
        configuration: Which model they are of.
        files: Of the checkpoint.
    """

    configuration: Configuration
    files: Files


@dataclass(frozen=True)
class Weights:
    """A checkpoint, opened.

    Attributes:
        configuration: Which model it is.
        t3_sizes: Of T3.
        s3gen_sizes: Of S3Gen.
        t3_file: Tensors of T3.
        s3gen_file: Tensors of flow, vocoder, speech tokenizer and speaker encoder.
        voice_file: Tensors of the speaker encoder for T3.
        reader: Text to ids.
        builtin: The built-in voice, if the checkpoint has one.
        identity: What changes when the networks that read voices do, for keys of what is computed with them.
    """

    configuration: Configuration
    t3_sizes: T3Sizes
    s3gen_sizes: S3GenSizes
    t3_file: Path
    s3gen_file: Path
    voice_file: Path
    reader: TextReader
    builtin: Conditionals | None
    identity: str

    @property
    def t3_state(self) -> State:
        """Tensors of T3."""
        return read_state(self.t3_file)

    @property
    def s3gen_state(self) -> State:
        """Tensors of S3Gen, opened anew: what was read of a mapped ``.pt`` file counts as memory until it is closed."""
        return read_state(self.s3gen_file)


def fetch(checkpoint: Checkpoint | None, report: Callable[[Event], None] | None = None) -> Found:
    """The files of a checkpoint, downloaded where they must be.

    Of the spec's own checkpoints it is known which model they are; of a folder or another repository, T3's file tells.

    Args:
        checkpoint: ``context.checkpoint``.
        report: ``context.report``.

    Raises:
        CheckpointError: As `realtts.checkpoints.fetch`; nothing tells which model it is.
    """
    configuration = known(checkpoint, CONFIGURATIONS) or _looked_up(checkpoint, report)
    return Found(configuration, checkpoints.fetch(checkpoint, FILES[configuration.name], report=report))


def open_checkpoint(found: Found) -> Weights:
    """Read what is small, and check that every tensor is there, in its shape, and none besides.

    Args:
        found: From `fetch`.

    Raises:
        CheckpointCorrupt: A file cannot be read.
        CheckpointMismatch: A tensor is missing, unexpected or misshapen.
        MissingExtra: chatterbox-tts is not installed.
    """
    name, files = found.configuration.name, found.files
    t3, s3gen, voice = files[T3_FILES[name]], files.first(*S3GENS), files.first(*VOICE_ENCODERS)
    reader = TextReader(files, name)
    builtin = read_builtin(files[BUILTIN]) if BUILTIN in files else None
    t3_found, s3gen_found, voice_found = (shapes_of(read_state(path)) for path in (t3, s3gen, voice))
    own = t3_sizes(t3_found, name, f"file {t3.name!r}")
    others = s3gen_sizes(s3gen_found, f"file {s3gen.name!r}")
    _check(t3, t3_found, empty_t3(name, own))
    _check(s3gen, s3gen_found, empty_s3gen(name, others))
    _check(voice, voice_found, empty_voice_encoder())
    return Weights(
        configuration=found.configuration,
        t3_sizes=own,
        s3gen_sizes=others,
        t3_file=t3,
        s3gen_file=s3gen,
        voice_file=voice,
        reader=reader,
        builtin=builtin,
        identity=files.identity(*VOICE_ENCODERS, *S3GENS),
    )


def _check(path: Path, found: dict[str, tuple[int, ...]], network: Any) -> None:
    wanted = shapes_of(network.state_dict())
    check_shapes(found, wanted, f"file {path.name!r}", computed=COMPUTED, spare=spare_in(path, found))


def _looked_up(checkpoint: Checkpoint | None, report: Callable[[Event], None] | None) -> Configuration:
    """What the file of T3 says, which is asked for before the others."""
    found = checkpoints.fetch(checkpoint, [tuple(T3_FILES.values())], report=report)
    return CONFIGURATIONS[next(name for name, file in T3_FILES.items() if file in found)]
