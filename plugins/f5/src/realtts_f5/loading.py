"""A checkpoint's files: where they are, and its tensors, opened here and read by the networks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from realtts import checkpoints
from realtts.accel.weights.tensorfile import read_state, shapes_of
from realtts.contract.spec import Checkpoint
from realtts.errors import CheckpointMismatch, CheckpointMissing, enumeration
from realtts.kit.entries import check_supported, reading_entries
from realtts.kit.reading import configuration_of, mismatch, said_configuration
from realtts.kit.shards import INDEX_SUFFIX, index_of, read_index
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
from realtts_f5.naming import named_configuration, read_yaml
from realtts_f5.states import model_state
from realtts_f5.text import Vocabulary

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from realtts.accel.weights.tensorfile import State
    from realtts.checkpoints import Files
    from realtts.contract.events import Event
    from realtts_f5.configurations import Configuration
    from realtts_f5.sizes import Architecture

__all__ = ["ModelFiles", "Weights", "fetch", "open_checkpoint"]

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
class ModelFiles:
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


def fetch(checkpoint: Checkpoint | None, report: Callable[[Event], None] | None = None) -> ModelFiles:
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
    return ModelFiles(configuration, model, vocabulary, _vocoder(model.parent, report))


def open_checkpoint(files: ModelFiles) -> Weights:
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


def _local(checkpoint: Checkpoint, path: Path, report: Callable[[Event], None] | None) -> ModelFiles:
    """Find the files of a local folder, or of a file of weights in it."""
    folder = path.parent if path.is_file() else path
    model = path if path.is_file() else _only_weights(folder)
    files = {file.name: file for file in sorted(folder.iterdir()) if file.is_file()}
    said = said_configuration(checkpoint, CONFIGURATIONS)
    configuration = named_configuration(files, (model.parent.name, model.stem), f"file {model.name!r}", said)
    return ModelFiles(configuration, model, files.get(VOCABULARY), _vocoder(folder, report))


def _ask_repository(checkpoint: Checkpoint | None, report: Callable[[Event], None] | None) -> Configuration:
    """Find the configuration of somebody else's repository, before its weights are fetched.

    Names of files on the hub say nothing: they are the same in many repositories.
    """
    files = checkpoints.fetch(checkpoint, TELLING, report=report)
    said = said_configuration(checkpoint, CONFIGURATIONS)
    return named_configuration(files, (files.source.rpartition("/")[2],), f"checkpoint {files.source!r}", said)


def _vocoder(folder: Path, report: Callable[[Event], None] | None) -> Files:
    """Find the vocoder beside the weights, else on the hub."""
    for path in (folder / name for name in VOCODER_FOLDERS):
        if any((path / name).is_file() for file in VOCODER for name in (file, index_of(file))):
            return checkpoints.fetch(Checkpoint(path.name, path=path), VOCODER_FILES, report=report)
    published = Checkpoint(VOCODER_ID.rpartition("/")[2], source=VOCODER_ID, licence="MIT")
    return checkpoints.fetch(published, VOCODER_FILES, report=report)


def _only_weights(folder: Path) -> Path:
    """Find the file of weights of a folder, or the index of its parts; .safetensors goes first."""
    indexes = sorted(folder.glob(f"*.safetensors{INDEX_SUFFIX}"))
    parts = {part for index in indexes for part in read_index(index).values()}
    for suffix in (".safetensors", ".pt"):
        paths = sorted(path for path in folder.glob(f"*{suffix}") if path.is_file() and path.name not in parts)
        paths += indexes if suffix == ".safetensors" else []
        if len(paths) == 1:
            return paths[0]
        if paths:
            raise CheckpointMismatch(
                f"it holds {len(paths)} files of weights: {enumeration(path.name for path in paths)}",
                who=f"folder {folder.name!r}", fix="give model= the one file that is meant",
            )  # fmt: skip
    raise CheckpointMissing(
        "it holds no .safetensors and no .pt file", who=f"folder {str(folder)!r}",
        fix="give model= the folder or the file of the weights",
    )  # fmt: skip


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
        content = read_yaml(path)
        for part, expected in _VOCODER.items():
            arguments = content[part].get("init_args") or {}
            check_supported({**_DEFAULTS, **arguments, "class_path": content[part]["class_path"]}, expected)
