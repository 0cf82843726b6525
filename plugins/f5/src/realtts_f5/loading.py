"""A checkpoint's files: which configuration they are of, and its tensors, opened here and read by the networks.

Checkpoints of F5-TTS v0 and v1 have tensors of equal names and shapes, and one speaks nonsense as the other. So the
configuration is never guessed: for a published checkpoint it is known, and any other must name it: the call's
``configuration=``, a file ``realtts.json`` with ``{"configuration": "f5-v0-base"}``, upstream's configuration as a
``.yaml`` file, or the name of the folder, of the file itself or of the repository. Where two of them disagree,
nothing is loaded.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from realtts import checkpoints
from realtts.accel.weights.tensorfile import read_state, shapes_of
from realtts.contract.spec import Checkpoint
from realtts.errors import CheckpointMismatch, CheckpointMissing
from realtts.kit.reading import (
    NOTE,
    by_any_name,
    check_supported,
    configuration_of,
    mismatch,
    noted_configuration,
    reading_entries,
    said_configuration,
)
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
"""The vocoder that is supported: what its configuration file must say, because its tensors do not show it."""

_DEFAULTS = {"padding": "same"}
"""Defaults of the vocoder's classes, where the file says nothing, that differ from what is supported."""


@dataclass(frozen=True)
class Found:
    """The files of a model and of its vocoder.

    Attributes:
        configuration: The one that the checkpoint was named as.
        model_path: ``.safetensors`` or ``.pt``.
        vocabulary_path: ``vocab.txt``; None: the one that f5-tts brings.
        vocoder: Files of Vocos.
    """

    configuration: Configuration
    model_path: Path
    vocabulary_path: Path | None
    vocoder: Files


@dataclass(frozen=True)
class Weights:
    """A checkpoint whose files were found and checked; tensors are read when a network takes them.

    Attributes:
        configuration: With the shape of the network.
        vocabulary: Symbols to ids.
        model_path: File of the network's tensors.
        vocoder_path: File of the vocoder's tensors.
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
        """Name of the network's file, for messages."""
        return self.model_path.name

    @property
    def vocoder_file(self) -> str:
        """Name of the vocoder's file, for messages."""
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
    """Find the files of a checkpoint and of its vocoder, and download those that are not here.

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
        return _local(checkpoint, checkpoint.path, report)
    # Of a repository that holds several, at another revision, it is the first: as without a revision.
    published = configuration_of(checkpoint, CONFIGURATIONS)
    configuration = published or _ask_repository(checkpoint, report)
    files = checkpoints.fetch(checkpoint, files_of(published), report=report)
    model = files.first(*(USUAL if published is None else published.weights))
    vocabulary = files.get(VOCABULARY if published is None else published.vocabulary)
    return Found(configuration, model, vocabulary, _vocoder(model.parent, report))


def open_checkpoint(files: Found) -> Weights:
    """Read the vocabulary and check what is small; names and shapes of tensors are checked by the networks.

    Args:
        files: From `fetch`.

    Raises:
        CheckpointCorrupt: A file cannot be read.
        CheckpointMismatch: The vocabulary has another size than the model was trained with, or the vocoder is another.
    """
    vocabulary = Vocabulary(files.vocabulary_path)
    weights = Weights(files.configuration, vocabulary, files.model_path, files.vocoder.first(*VOCODER))
    _check_vocabulary(shapes_of(weights.model_state), vocabulary, f"file {weights.model_file!r}")
    if VOCODER_CONFIG in files.vocoder:
        _check_vocoder(files.vocoder[VOCODER_CONFIG])
    return weights


def _local(checkpoint: Checkpoint, path: Path, report: Callable[[Event], None] | None) -> Found:
    """Find the files of a local folder, or of a file of weights in it."""
    folder = path.parent if path.is_file() else path
    model = path if path.is_file() else _only_weights(folder)
    files = {file.name: file for file in sorted(folder.iterdir()) if file.is_file()}
    said = said_configuration(checkpoint, CONFIGURATIONS)
    configuration = _named(files, (model.parent.name, model.stem), f"file {model.name!r}", said)
    return Found(configuration, model, files.get(VOCABULARY), _vocoder(folder, report))


def _ask_repository(checkpoint: Checkpoint | None, report: Callable[[Event], None] | None) -> Configuration:
    """Find the configuration of somebody else's repository, before its weights are fetched.

    Names of files on the hub say nothing: they are the same in many repositories.
    """
    files = checkpoints.fetch(checkpoint, TELLING, report=report)
    said = said_configuration(checkpoint, CONFIGURATIONS)
    return _named(files, (files.source.rpartition("/")[2],), f"checkpoint {files.source!r}", said)


def _vocoder(folder: Path, report: Callable[[Event], None] | None) -> Files:
    """Find the vocoder beside the weights, else on the hub."""
    for path in (folder / name for name in VOCODER_FOLDERS):
        if any((path / file).is_file() for file in VOCODER):
            return checkpoints.fetch(Checkpoint(path.name, path=path), VOCODER_FILES, report=report)
    published = Checkpoint(VOCODER_ID.rpartition("/")[2], source=VOCODER_ID, licence="MIT")
    return checkpoints.fetch(published, VOCODER_FILES, report=report)


def _only_weights(folder: Path) -> Path:
    """Find the file of weights of a folder; .safetensors goes first."""
    for suffix in (".safetensors", ".pt"):
        paths = sorted(path for path in folder.glob(f"*{suffix}") if path.is_file())
        if len(paths) == 1:
            return paths[0]
        if paths:
            raise CheckpointMismatch(
                f"it holds {len(paths)} files of weights: {', '.join(path.name for path in paths)}",
                who=f"folder {folder.name!r}", fix="give model= the one file that is meant",
            )  # fmt: skip
    raise CheckpointMissing(
        "it holds no .safetensors and no .pt file", who=f"folder {str(folder)!r}",
        fix="give model= the folder or the file of the weights",
    )  # fmt: skip


def _named(files: Mapping[str, Path], names: Iterable[str], who: str, said: Configuration | None) -> Configuration:
    """Find the configuration that files beside the weights and names of files and folders agree on.

    Args:
        files: Beside the weights, by name.
        names: Of the file and of its folder or repository.
        who: The checkpoint, for messages.
        said: What the user named in the call; names of files and folders then count for nothing.

    Raises:
        CheckpointCorrupt: The note cannot be read.
        CheckpointMismatch: Nothing names a configuration, or two sources name different ones.
    """
    named_by: dict[str, Configuration] = {} if said is None else {"configuration=": said}
    if NOTE in files:
        named_by[NOTE] = noted_configuration(files[NOTE], CONFIGURATIONS)
    for name, path in files.items():
        by_file = _by_yaml(path) if name.endswith(".yaml") else None
        if by_file is not None:
            named_by[name] = by_file
    for where in names if said is None else ():
        by_name = by_any_name(where, CONFIGURATIONS)
        if by_name is not None:
            named_by[where] = by_name
    if not named_by:
        raise CheckpointMismatch(
            "nothing says which configuration it is of, and v0 and v1 of F5-TTS cannot be told apart by their tensors",
            who=who,
            fix=f"say it in the call, as configuration='f5-v1-base' (--configuration), or for good in a file {NOTE} "
            f'with {{"configuration": "f5-v1-base"}} beside the weights, or by upstream\'s .yaml, in a folder of your '
            f"own; there are {', '.join(CONFIGURATIONS)}",
        )  # fmt: skip
    first, configuration = next(iter(named_by.items()))
    for where, other in named_by.items():
        if not configuration.architecture.is_version_of(other.architecture):
            raise CheckpointMismatch(
                f"{first} says that it is {configuration.name}, and {where} that it is {other.name}",
                who=who, fix="correct the one that is wrong",
            )  # fmt: skip
    return configuration


def _by_yaml(path: Path) -> Configuration | None:
    """Read upstream's configuration file, its own sizes included; None if it is something else."""
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
    """Read a ``.yaml`` file of text, numbers and containers of them; `ValueError`: it cannot be read."""
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
    with reading_entries(f"file {path.name!r}"):
        content = _read_yaml(path)
        for part, expected in _VOCODER.items():
            arguments = content[part].get("init_args") or {}
            check_supported({**_DEFAULTS, **arguments, "class_path": content[part]["class_path"]}, expected)
