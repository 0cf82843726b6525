"""A checkpoint's files: which configuration they are of, and its tensors, read when asked for and refused by name.

Checkpoints of F5-TTS v0 and v1 have tensors of equal names and shapes, and one speaks nonsense as the other. So the
configuration is never guessed: for a published checkpoint it is known, and of any other something must say it: a file
``realtts.json`` with ``{"configuration": "f5-v0-base"}``, upstream's configuration as a ``.yaml`` file, or the name of
the folder, of the file itself or of the repository. Where two of them disagree, nothing is loaded.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from realtts import checkpoints
from realtts.accel.weights.tensorfile import read_state, shapes_of
from realtts.contract.spec import Checkpoint
from realtts.errors import CheckpointMismatch, CheckpointMissing
from realtts.kit.reading import NOTE, by_any_name, known, mismatch, noted, supported, understood
from realtts_f5.configurations import CONFIGURATIONS, FIX, VOCODER_ID
from realtts_f5.constants import FFT, HOP, MELS, RATE
from realtts_f5.files import (
    TELLING,
    USUAL,
    VOCABULARY,
    VOCODER,
    VOCODER_CONFIG,
    VOCODER_FILES,
    VOCODER_FOLDERS,
    files_of,
)
from realtts_f5.sizes import read_architecture
from realtts_f5.states import model_state
from realtts_f5.text import Vocabulary

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from realtts.accel.weights.tensorfile import State
    from realtts.checkpoints import Files
    from realtts.contract.events import Event
    from realtts_f5.configurations import Configuration
    from realtts_f5.sizes import Architecture

__all__ = ["Found", "Weights", "fetch", "open_checkpoint"]

_EMBEDDING = "transformer.text_embed.text_embed.weight"

_VOCODER = {
    "feature_extractor": {
        "class_path": "vocos.feature_extractors.MelSpectrogramFeatures",
        "sample_rate": RATE,
        "n_fft": FFT,
        "hop_length": HOP,
        "n_mels": MELS,
    },
    "backbone": {"class_path": "vocos.models.VocosBackbone", "input_channels": MELS},
    "head": {"class_path": "vocos.heads.ISTFTHead", "n_fft": FFT, "hop_length": HOP, "padding": "center"},
}
"""What the vocoder is made of, whatever its file says, and what its tensors do not show, or not by name."""

_DEFAULTS = {"padding": "same"}
"""What a class of it takes where its file says nothing, and is another than ours."""


@dataclass(frozen=True)
class Found:
    """The files of a model and of its vocoder.

    Attributes:
        configuration: Of the network's shape as it was named.
        model_path: ``.safetensors`` or ``.pt``.
        vocabulary_path: ``vocab.txt``; None: the one that f5-tts brings.
        vocoder: Of Vocos.
    """

    configuration: Configuration
    model_path: Path
    vocabulary_path: Path | None
    vocoder: Files


@dataclass(frozen=True)
class Weights:
    """A checkpoint, opened.

    Attributes:
        configuration: With the shape of the network.
        vocabulary: Symbols to ids.
        model_path: The network's tensors.
        vocoder_path: The vocoder's.
    """

    configuration: Configuration
    vocabulary: Vocabulary
    model_path: Path
    vocoder_path: Path

    @property
    def architecture(self) -> Architecture:
        """Shape of the network."""
        return self.configuration.architecture

    @property
    def model_file(self) -> str:
        """Where the network's tensors are, for messages."""
        return self.model_path.name

    @property
    def vocoder_file(self) -> str:
        """The same of the vocoder's."""
        return self.vocoder_path.name

    @property
    def model_state(self) -> State:
        """Tensors of the network; opened anew, for the file may have changed since it was read for another type.

        Raises:
            CheckpointCorrupt: The file cannot be read.
        """
        return model_state(self.model_path)

    @property
    def vocoder_state(self) -> State:
        """Tensors of the vocoder.

        Raises:
            CheckpointCorrupt: The file cannot be read.
        """
        return read_state(self.vocoder_path)


def fetch(checkpoint: Checkpoint | None, report: Callable[[Event], None] | None = None) -> Found:
    """The files of a checkpoint and of its vocoder, downloaded where they must be.

    The vocoder is looked for beside the weights, in ``vocos`` or ``vocos-mel-24khz``, else on the hub.

    Args:
        checkpoint: ``context.checkpoint``.
        report: ``context.report``.

    Raises:
        CheckpointError: As `realtts.checkpoints.fetch`.
        CheckpointCorrupt: ``realtts.json`` cannot be read.
        CheckpointMismatch: Nothing says which configuration the weights are of, or two things say different ones.
    """
    if checkpoint is not None and checkpoint.path is not None:
        return _local(checkpoint.path, report)
    # Of a repository that holds several, at another revision, it is the first: as without a revision.
    ours = known(checkpoint, CONFIGURATIONS)
    configuration = ours or _looked_up(checkpoint, report)
    files = checkpoints.fetch(checkpoint, files_of(ours), report=report)
    model = files.first(*(USUAL if ours is None else ours.weights))
    vocabulary = files.get(VOCABULARY if ours is None else ours.vocabulary)
    return Found(configuration, model, vocabulary, _vocoder(model.parent, report))


def open_checkpoint(found: Found) -> Weights:
    """Read what is small; names and shapes of the tensors are checked by the networks that take them.

    Args:
        found: From `fetch`.

    Raises:
        CheckpointCorrupt: A file cannot be read.
        CheckpointMismatch: The vocabulary has another size than the model was trained with, or the vocoder is another.
    """
    vocabulary = Vocabulary(found.vocabulary_path)
    weights = Weights(found.configuration, vocabulary, found.model_path, found.vocoder.first(*VOCODER))
    _check_vocabulary(shapes_of(weights.model_state), vocabulary, f"file {weights.model_file!r}")
    if VOCODER_CONFIG in found.vocoder:
        _check_vocoder(found.vocoder[VOCODER_CONFIG])
    return weights


def _local(path: Path, report: Callable[[Event], None] | None) -> Found:
    folder = path.parent if path.is_file() else path
    model = path if path.is_file() else _only_weights(folder)
    files = {file.name: file for file in sorted(folder.iterdir()) if file.is_file()}
    configuration = _named(files, (model.parent.name, model.stem), f"file {model.name!r}")
    return Found(configuration, model, files.get(VOCABULARY), _vocoder(folder, report))


def _looked_up(checkpoint: Checkpoint | None, report: Callable[[Event], None] | None) -> Configuration:
    """What somebody else's repository says, asked before its weights are; names of files on the hub say nothing."""
    told = checkpoints.fetch(checkpoint, TELLING, report=report)
    return _named(told, (told.source.rpartition("/")[2],), f"checkpoint {told.source!r}")


def _vocoder(folder: Path, report: Callable[[Event], None] | None) -> Files:
    """The vocoder beside the weights, else the hub's."""
    for path in (folder / name for name in VOCODER_FOLDERS):
        if any((path / file).is_file() for file in VOCODER):
            return checkpoints.fetch(Checkpoint(path.name, path=path), VOCODER_FILES, report=report)
    hubs = Checkpoint(VOCODER_ID.rpartition("/")[2], source=VOCODER_ID, licence="MIT")
    return checkpoints.fetch(hubs, VOCODER_FILES, report=report)


def _only_weights(folder: Path) -> Path:
    for suffix in (".safetensors", ".pt"):
        found = sorted(path for path in folder.glob(f"*{suffix}") if path.is_file())
        if len(found) == 1:
            return found[0]
        if found:
            raise CheckpointMismatch(
                f"it holds {len(found)} files of weights: {', '.join(path.name for path in found)}",
                who=f"folder {folder.name!r}", fix="give model= the one file that is meant",
            )  # fmt: skip
    raise CheckpointMissing(
        "it holds no .safetensors and no .pt file", who=f"folder {str(folder)!r}",
        fix="give model= the folder or the file of the weights",
    )  # fmt: skip


def _named(files: Mapping[str, Path], names: Iterable[str], who: str) -> Configuration:
    """What all that says something about the configuration agrees on: files beside the weights, and names of places."""
    said: dict[str, Configuration] = {}
    if NOTE in files:
        said[NOTE] = noted(files[NOTE], CONFIGURATIONS)
    for name, path in files.items():
        by_file = _by_yaml(path) if name.endswith(".yaml") else None
        if by_file is not None:
            said[name] = by_file
    for where in names:
        by_name = by_any_name(where, CONFIGURATIONS)
        if by_name is not None:
            said[where] = by_name
    if not said:
        raise CheckpointMismatch(
            "nothing says which configuration it is of, and v0 and v1 of F5-TTS cannot be told apart by their tensors",
            who=who,
            fix=f'put a file {NOTE} with {{"configuration": "f5-v1-base"}} beside the weights, or upstream\'s .yaml, '
            f"in a folder of your own; there are {', '.join(CONFIGURATIONS)}",
        )  # fmt: skip
    first, chosen = next(iter(said.items()))
    for where, other in said.items():
        if not chosen.architecture.is_version_of(other.architecture):
            raise CheckpointMismatch(
                f"{first} says that it is {chosen.name}, and {where} that it is {other.name}",
                who=who, fix="correct the one that is wrong",
            )  # fmt: skip
    return chosen


def _by_yaml(path: Path) -> Configuration | None:
    """Upstream's configuration file, its own sizes included; None if it is something else."""
    try:
        content = _read_yaml(path)
    except ValueError:
        return None
    model = content.get("model") if isinstance(content, dict) else None
    if not isinstance(model, dict) or not isinstance(model.get("arch"), dict):
        return None
    name = str(model.get("name"))
    base = by_any_name(name, CONFIGURATIONS)
    architecture = read_architecture(model, f"file {path.name!r}")
    return replace(base or CONFIGURATIONS["f5-v1-base"], name=base.name if base else name, architecture=architecture)


def _read_yaml(path: Path) -> Any:
    """What a ``.yaml`` file holds: text, numbers and containers of them; `ValueError`: it cannot be read."""
    yaml = importlib.import_module("yaml")
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise ValueError(str(error).partition("\n")[0]) from error


def _check_vocabulary(shapes: Mapping[str, tuple[int, ...]], vocabulary: Vocabulary, who: str) -> None:
    """Refuse a vocabulary of another size than the model was trained with; the embedding has a row more, for filler."""
    if _EMBEDDING not in shapes:
        raise mismatch(f"the tensor {_EMBEDDING} is missing", who, FIX)
    rows = shapes[_EMBEDDING][0]
    if rows != len(vocabulary) + 1:
        raise CheckpointMismatch(
            f"the model was trained with {rows - 1} symbols, and {vocabulary.name} has {len(vocabulary)}", who=who,
            fix="put the vocabulary that it was trained with beside it, as vocab.txt",
        )  # fmt: skip


def _check_vocoder(path: Path) -> None:
    """Refuse another vocoder by what its configuration says; the classes that it names are never looked up."""
    with understood(f"file {path.name!r}"):
        content = _read_yaml(path)
        for part, ours in _VOCODER.items():
            given = content[part].get("init_args") or {}
            supported({**_DEFAULTS, **given, "class_path": content[part]["class_path"]}, ours)
