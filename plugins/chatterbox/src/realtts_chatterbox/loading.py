"""A checkpoint's files into upstream's networks, or into the tensors that the optimized variant packs itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from realtts import checkpoints
from realtts.accel.tensorfile import TensorFile, read_pickled, read_state, shapes_of, unreadable
from realtts.checkpoints.reading import mismatch
from realtts.errors import CheckpointMissing
from realtts_chatterbox.building import check, empty_s3gen, empty_t3, empty_voice_encoder, fill
from realtts_chatterbox.conditionals import Conditionals
from realtts_chatterbox.files import FILES, T3_FILES, kind_of, known_kind
from realtts_chatterbox.sizes import s3gen_sizes, t3_sizes
from realtts_chatterbox.text import TextReader

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from torch import Tensor

    from realtts.accel.tensorfile import State
    from realtts.checkpoints import Files
    from realtts.events import Event
    from realtts.spec import Checkpoint

__all__ = [
    "Encoders", "Parts", "codec_states", "encoders_identity", "fetch", "files_of", "read_builtin",
    "read_encoders", "read_parts", "read_s3gen", "read_t3", "read_t3_state", "read_tokenizer",
]  # fmt: skip

_VOICE_ENCODERS = ("ve.pt", "ve.safetensors")
_S3GENS = ("s3gen_meanflow.safetensors", "s3gen.safetensors", "s3gen.pt")


@dataclass
class Encoders:
    """What makes conditionals of a recording: upstream's networks.

    Attributes:
        voice: ``VoiceEncoder``, for T3.
        tokenizer: ``S3Tokenizer``, for T3 and the flow.
        speaker: ``CAMPPlus``, for the flow.
    """

    voice: Any
    tokenizer: Any
    speaker: Any


@dataclass
class Parts:
    """A model of upstream's classes, float32, in evaluation mode.

    Attributes:
        kind: ``"english"``, ``"multilingual"`` or ``"turbo"``.
        t3: ``T3``.
        s3gen: ``S3Gen``.
        ve: ``VoiceEncoder``.
        tokenizer: Text to ids.
        builtin: The built-in voice, if the checkpoint has one.
        weights: `encoders_identity`.
    """

    kind: str
    t3: Any
    s3gen: Any
    ve: Any
    tokenizer: TextReader
    builtin: Conditionals | None
    weights: str

    @property
    def encoders(self) -> Encoders:
        """Those that make conditionals."""
        return Encoders(self.ve, self.s3gen.tokenizer, self.s3gen.speaker_encoder)


def files_of(checkpoint: Checkpoint, report: Callable[[Event], None] | None = None) -> str:
    """Which model a checkpoint holds: ``"english"``, ``"multilingual"`` or ``"turbo"``.

    Of the spec's own checkpoints it is known; of a folder or another repository, the file of T3 tells.

    Raises:
        CheckpointError: As `realtts.checkpoints.fetch`; none of the three files is there.
    """
    known = known_kind(checkpoint)
    if known is not None:
        return known
    return kind_of(checkpoints.fetch(checkpoint, [tuple(T3_FILES.values())], report=report))


def fetch(checkpoint: Checkpoint | None, report: Callable[[Event], None] | None = None) -> tuple[str, Files]:
    """Which model a checkpoint holds, and its files, downloaded where they must be.

    Raises:
        CheckpointError: As `realtts.checkpoints.fetch`.
    """
    if checkpoint is None:
        raise CheckpointMissing("no checkpoint was chosen", who="chatterbox", fix="give model=, or leave it out")
    kind = files_of(checkpoint, report)
    return kind, checkpoints.fetch(checkpoint, FILES[kind], report=report)


def encoders_identity(files: Files) -> str:
    """What changes when the networks that read voices do."""
    return files.identity(*_VOICE_ENCODERS, *_S3GENS)


def read_parts(files: Files, kind: str, device: str) -> Parts:
    """The whole model.

    Args:
        files: From `fetch`.
        kind: From `fetch`.
        device: Where it shall lie.

    Raises:
        CheckpointCorrupt: A file cannot be read.
        CheckpointMismatch: Tensors are missing, unexpected or misshapen.
        MissingExtra: chatterbox-tts is not installed.
    """
    weights = encoders_identity(files)
    builtin, tokenizer = read_builtin(files), read_tokenizer(files, kind)
    t3, s3gen = read_t3(files, kind, device), read_s3gen(files, kind, device)
    return Parts(kind, t3, s3gen, _voice_encoder(files, device), tokenizer, builtin, weights)


def read_t3(files: Mapping[str, Path], kind: str, device: str) -> Any:
    """Upstream's T3.

    Raises:
        CheckpointCorrupt: The file cannot be read.
        CheckpointMismatch: Tensors are missing, unexpected or misshapen.
    """
    path = files[T3_FILES[kind]]
    state = read_state(path)
    t3 = empty_t3(kind, t3_sizes(shapes_of(state), kind, _who(path)))
    fill(t3, state, device, _who(path), optional=("tfmr.wte.weight",) if kind == "turbo" else ())
    return t3


def read_s3gen(files: Mapping[str, Path], kind: str, device: str) -> Any:
    """Upstream's S3Gen, whole.

    Raises:
        CheckpointCorrupt: The file cannot be read.
        CheckpointMismatch: Tensors are missing, unexpected or misshapen.
    """
    path = _s3gen_path(files)
    state = read_state(path)
    s3gen = empty_s3gen(kind, s3gen_sizes(shapes_of(state), _who(path)))
    fill(s3gen, state, device, _who(path), extras=_may_have_extras(path))
    return s3gen


def read_encoders(files: Mapping[str, Path], kind: str, device: str) -> Encoders:
    """What makes conditionals, without the networks that speak.

    Raises:
        CheckpointCorrupt: A file cannot be read.
        CheckpointMismatch: Tensors are missing, unexpected or misshapen.
    """
    path = _s3gen_path(files)
    state = read_state(path)
    s3gen = empty_s3gen(kind, s3gen_sizes(shapes_of(state), _who(path)))
    tokenizer, speaker = s3gen.tokenizer, s3gen.speaker_encoder
    fill(tokenizer, state, device, _who(path), prefix="tokenizer.")
    fill(speaker, state, device, _who(path), prefix="speaker_encoder.")
    return Encoders(_voice_encoder(files, device), tokenizer, speaker)


def read_t3_state(path: Path) -> TensorFile:
    """T3's tensors, read one at a time when they are asked for, into memory of their own.

    Raises:
        CheckpointCorrupt: The file cannot be read.
    """
    return TensorFile(path)


def codec_states(files: Mapping[str, Path], kind: str) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The tensors of flow and vocoder by their names below ``flow.`` and ``mel2wav.``; the whole file is checked.

    Raises:
        CheckpointCorrupt: The file cannot be read.
        CheckpointMismatch: Tensors are missing, unexpected or misshapen.
    """
    path = _s3gen_path(files)
    state = read_state(path)
    empty = empty_s3gen(kind, s3gen_sizes(shapes_of(state), _who(path)))
    check(empty, state, _who(path), extras=_may_have_extras(path))
    return _below(state, "flow."), _below(state, "mel2wav.")


def read_tokenizer(files: Mapping[str, Path], kind: str) -> TextReader:
    """From text to ids.

    Raises:
        CheckpointCorrupt: A file cannot be read.
    """
    return TextReader(files, kind)


def read_builtin(files: Mapping[str, Path]) -> Conditionals | None:
    """The voice that comes with the model; None where there is none.

    Raises:
        CheckpointCorrupt: The file cannot be read.
        CheckpointMismatch: Something is missing in it.
    """
    path = files.get("conds.pt")
    if path is None:
        return None
    content = read_pickled(path)
    try:
        t3, gen = content["t3"], content["gen"]
        prompt = t3["cond_prompt_speech_tokens"]
        tokens, mel = torch.atleast_2d(gen["prompt_token"]).long(), gen["prompt_feat"].float()
        pairs = min(tokens.shape[1], mel.shape[1] // 2)  # two frames for every token
        return Conditionals(  # copied, since the file is mapped
            speaker=t3["speaker_emb"].float().view(1, -1).clone(),
            t3_tokens=None if prompt is None else torch.atleast_2d(prompt).long().clone(),
            tokens=tokens[:, :pairs].clone(),
            mel=mel[:, : 2 * pairs].clone(),
            embedding=torch.atleast_2d(gen["embedding"]).float().clone(),
        )
    except KeyError as error:
        raise mismatch(f"the tensor {error} is missing", _who(path)) from error
    except (TypeError, AttributeError, RuntimeError) as error:
        raise unreadable(path, error) from error


def _voice_encoder(files: Mapping[str, Path], device: str) -> Any:
    path = files[next(name for name in _VOICE_ENCODERS if name in files)]
    encoder = empty_voice_encoder()
    fill(encoder, read_state(path), device, _who(path))
    return encoder


def _below(state: State, prefix: str) -> dict[str, Tensor]:
    return {name[len(prefix) :]: state[name] for name in state if name.startswith(prefix)}


def _s3gen_path(files: Mapping[str, Path]) -> Path:
    return files[next(name for name in _S3GENS if name in files)]


def _may_have_extras(path: Path) -> bool:
    """Whether upstream, too, does not mind tensors in this file that it has no place for."""
    return path.name == "s3gen.safetensors"


def _who(path: Path) -> str:
    return f"file {path.name!r}"
