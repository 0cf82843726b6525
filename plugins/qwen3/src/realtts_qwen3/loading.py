"""A checkpoint's files: its configuration, and its tensors, checked by name and shape and read when accessed."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from realtts import checkpoints
from realtts.accel.weights.tensorfile import Tensors, read_state
from realtts.kit.entries import reading_entries
from realtts.kit.reading import check_shapes, read_json
from realtts_qwen3.files import CODEC, CODEC_CONFIG, FILES, WEIGHTS
from realtts_qwen3.shapes import codec_shapes, model_shapes
from realtts_qwen3.sizes import read_codec_sizes, read_sizes
from realtts_qwen3.text import TextReader

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from realtts.checkpoints import Files
    from realtts.contract.events import Event
    from realtts.contract.spec import Checkpoint
    from realtts_qwen3.sizes import CodecSizes, Sizes

__all__ = ["States", "Weights", "fetch", "open_checkpoint"]


@dataclass(frozen=True)
class States:
    """The tensors of a checkpoint, checked and not read yet.

    Attributes:
        talker: The talker's, by names below ``talker.``; the code predictor's begin with ``code_predictor.``.
        speaker_encoder: The speaker encoder's, by names below ``speaker_encoder.``; None where the model cannot clone.
        decoder: The codec decoder's, by names below ``decoder.``.
        encoder: The codec encoder's, by names below ``encoder.``.
    """

    talker: Tensors
    speaker_encoder: Tensors | None
    decoder: Tensors
    encoder: Tensors


@dataclass(frozen=True)
class Weights:
    """A checkpoint, opened.

    Attributes:
        sizes: Sizes of the model, and its speakers.
        codec: Sizes of the codec.
        defaults: ``generation_config.json``.
        states: Its tensors.
        reader: Turns text into ids.
        identity: Changes when the weights do: a part of the keys of what is computed with them.
    """

    sizes: Sizes
    codec: CodecSizes
    defaults: Mapping[str, Any]
    states: States
    reader: TextReader
    identity: str


def fetch(checkpoint: Checkpoint | None, report: Callable[[Event], None] | None = None) -> Files:
    """Return the files of a checkpoint, downloaded where they must be.

    Args:
        checkpoint: ``context.checkpoint``.
        report: ``context.report``.

    Raises:
        CheckpointError: As `realtts.checkpoints.fetch`.
    """
    return checkpoints.fetch(checkpoint, FILES, report=report)


def open_checkpoint(files: Files) -> Weights:
    """Read what is small, and check that every tensor is there, in its shape, and no other.

    Args:
        files: The checkpoint's files, from `fetch`.

    Raises:
        CheckpointCorrupt: A file cannot be read.
        CheckpointMismatch: A file is of another model; a tensor is missing, unexpected or misshapen.
    """
    sizes = read_sizes(read_json(files["config.json"]))
    codec = read_codec_sizes(read_json(files[CODEC_CONFIG]))
    model_file, codec_file = read_state(files.first(WEIGHTS)), read_state(files.first(CODEC))
    with reading_entries("file 'config.json'"):
        model_expected = model_shapes(sizes)
    with reading_entries(f"file {CODEC_CONFIG!r}"):
        codec_expected = codec_shapes(codec)
    check_shapes(model_file.shapes, model_expected, f"file {WEIGHTS!r}")
    check_shapes(codec_file.shapes, codec_expected, f"file {CODEC!r}")
    states = States(
        talker=Tensors(model_file, "talker."),
        speaker_encoder=Tensors(model_file, "speaker_encoder.") if sizes.speaker_encoder is not None else None,
        decoder=Tensors(codec_file, "decoder."),
        encoder=Tensors(codec_file, "encoder."),
    )
    return Weights(
        sizes=sizes,
        codec=codec,
        defaults=MappingProxyType(read_json(files["generation_config.json"])),
        states=states,
        reader=TextReader(files, sizes),
        identity=files.identity(WEIGHTS, CODEC),
    )
