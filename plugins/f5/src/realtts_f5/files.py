"""Which files a model is read from, and which configuration they are of.

Checkpoints of F5-TTS v0 and v1 have tensors of equal names and shapes, and one speaks nonsense as the other. So the
configuration is never guessed: for a published checkpoint it is known, and of any other something must say it: a file
``realtts.json`` with ``{"configuration": "f5-v0-base"}``, upstream's configuration as a ``.yaml`` file, or the name of
the folder or of the file itself. Where two of them disagree, nothing is loaded.
"""

from __future__ import annotations

import importlib
import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from realtts import checkpoints
from realtts.errors import CheckpointCorrupt, CheckpointMismatch, CheckpointMissing
from realtts.spec import Checkpoint
from realtts_f5.configurations import CONFIGURATIONS, VOCODER_ID, by_any_name

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from realtts.events import Event
    from realtts_f5.configurations import Configuration
    from realtts_f5.sizes import Architecture

__all__ = ["VOCODER_FOLDERS", "Files", "fetch", "read_yaml"]

VOCODER_FOLDERS = ("vocos", "vocos-mel-24khz")
"""Folders beside the weights in which the vocoder may lie."""

_NAMED = "realtts.json"
_VOCABULARY = "vocab.txt"
_VOCODER_WEIGHTS = ("pytorch_model.bin", "model.safetensors")
_USUAL = ("model_1250000", "model_1200000", "model_last", "model")
"""How weights are called in repositories that the plugin does not know."""

_SPECTRUM = {"target_sample_rate": 24_000, "n_mel_channels": 100, "hop_length": 256, "win_length": 1024, "n_fft": 1024}
"""Of every published model: the reference's mel, lengths and the vocoder go by it."""


@dataclass(frozen=True)
class Files:
    """What a model is read from.

    Attributes:
        name: Of the configuration.
        architecture: Shape of the network, as it was named.
        weights: ``.safetensors`` or ``.pt``.
        vocabulary: ``vocab.txt``; None: the one that f5-tts brings.
        vocoder: Weights of Vocos.
        vocoder_config: Its ``config.yaml``, if there is one.
    """

    name: str
    architecture: Architecture
    weights: Path
    vocabulary: Path | None
    vocoder: Path
    vocoder_config: Path | None


def fetch(checkpoint: Checkpoint | None, report: Callable[[Event], None] | None = None) -> Files:
    """The files of a checkpoint and of the vocoder, downloaded where they must be.

    Args:
        checkpoint: ``context.checkpoint``.
        report: ``context.report``.

    Raises:
        CheckpointError: As `realtts.checkpoints.fetch`.
        CheckpointMismatch: Nothing says which configuration the weights are of, or two things say different ones.
    """
    if checkpoint is None:
        raise CheckpointMissing("no checkpoint was chosen", who="f5", fix="give model=, or leave it out")
    if checkpoint.path is not None:
        return _local(checkpoint.path, report)
    # Of a repository that holds several, at another revision, it is the first: as without a revision.
    by_source = (known for known in CONFIGURATIONS.values() if known.source == checkpoint.source)
    known = CONFIGURATIONS.get(checkpoint.name) or next(by_source, None)
    if known is None:
        return _foreign(checkpoint, report)
    found = checkpoints.fetch(checkpoint, known.files, report=report)
    vocabulary = found.get(known.vocabulary)
    return _with_vocoder(known, found.first(*known.weights), vocabulary, report)


def read_yaml(path: Path) -> Any:
    """What a ``.yaml`` file holds: text, numbers and containers of them.

    Raises:
        OSError, ValueError: It cannot be read.
    """
    yaml = importlib.import_module("yaml")
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise ValueError(str(error).partition("\n")[0]) from error


def _local(path: Path, report: Callable[[Event], None] | None) -> Files:
    folder = path.parent if path.is_file() else path
    weights = path if path.is_file() else _only_weights(folder)
    configuration = _named(weights, _beside(folder, _NAMED), sorted(folder.glob("*.yaml")))
    return _with_vocoder(configuration, weights, _beside(folder, _VOCABULARY), report)


def _foreign(checkpoint: Checkpoint, report: Callable[[Event], None] | None) -> Files:
    """A repository of somebody else: one file of weights is fetched, the likeliest."""
    usual = tuple(f"{name}{suffix}" for suffix in (".safetensors", ".pt") for name in _USUAL)
    found = checkpoints.fetch(checkpoint, [usual, (_NAMED, None), ("*.yaml", None), (_VOCABULARY, None)], report=report)
    weights = found.first(*usual)
    yamls = [path for name, path in found.items() if name.endswith(".yaml")]
    configuration = _named(weights, found.get(_NAMED), yamls, also=checkpoint.source)
    return _with_vocoder(configuration, weights, found.get(_VOCABULARY), report)


def _with_vocoder(
    configuration: Configuration, weights: Path, vocabulary: Path | None, report: Callable[[Event], None] | None
) -> Files:
    for name in VOCODER_FOLDERS:
        folder = weights.parent / name
        vocoder = next((path for file in _VOCODER_WEIGHTS if (path := _beside(folder, file))), None)
        if vocoder is not None:
            config = _beside(folder, "config.yaml")
            return Files(configuration.name, configuration.architecture, weights, vocabulary, vocoder, config)
    found = checkpoints.fetch(
        Checkpoint("vocos-mel-24khz", source=VOCODER_ID, licence="MIT"),
        [_VOCODER_WEIGHTS, ("config.yaml", None)],
        report=report,
    )
    vocoder, config = found.first(*_VOCODER_WEIGHTS), found.get("config.yaml")
    return Files(configuration.name, configuration.architecture, weights, vocabulary, vocoder, config)


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


def _named(weights: Path, named: Path | None, yamls: list[Path], *, also: str = "") -> Configuration:
    """What all that says something about the configuration agrees on."""
    said: dict[str, Configuration] = {}
    if named is not None:
        said[named.name] = _from_json(named)
    for path in yamls:
        configuration = _from_yaml(path)
        if configuration is not None:
            said[path.name] = configuration
    for where in (weights.parent.name, weights.stem, also.rpartition("/")[2]):
        by_name = by_any_name(where)
        if by_name is not None:
            said[where] = by_name
    if not said:
        raise CheckpointMismatch(
            "nothing says which configuration it is of, and v0 and v1 of F5-TTS cannot be told apart by their tensors",
            who=f"file {weights.name!r}",
            fix=f'put a file {_NAMED} with {{"configuration": "f5-v1-base"}} beside it, or upstream\'s .yaml; '
            f"there are {', '.join(CONFIGURATIONS)}",
        )  # fmt: skip
    chosen = next(iter(said.values()))
    for where, other in said.items():
        if not _agree(chosen.architecture, other.architecture):
            first = next(iter(said))
            raise CheckpointMismatch(
                f"{first} says that it is {chosen.name}, and {where} that it is {other.name}",
                who=f"file {weights.name!r}", fix="correct the one that is wrong",
            )  # fmt: skip
    return chosen


def _agree(one: Architecture, other: Architecture) -> bool:
    """Whether two are of the same version; of the size, which tensors show, the first is believed."""
    return (one.backbone, one.text_mask_padding, one.rotary_heads) == (
        other.backbone, other.text_mask_padding, other.rotary_heads,
    )  # fmt: skip


def _from_json(path: Path) -> Configuration:
    try:
        name = json.loads(path.read_text(encoding="utf-8"))["configuration"]
        found = by_any_name(name)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointCorrupt(
            f"it cannot be read: {type(error).__name__}: {error}", who=f"file {path.name!r}",
            fix='write {"configuration": "f5-v1-base"} into it, or another configuration\'s name',
        ) from error  # fmt: skip
    if found is None:
        raise CheckpointMismatch(
            f"there is no configuration {name!r}", who=f"file {path.name!r}",
            fix=f"choose from {', '.join(CONFIGURATIONS)}",
        )  # fmt: skip
    return found


def _from_yaml(path: Path) -> Configuration | None:
    """Upstream's configuration file, its own sizes included; None if it is something else."""
    try:
        content = read_yaml(path)
    except (OSError, ValueError):
        return None
    model = content.get("model") if isinstance(content, dict) else None
    if not isinstance(model, dict) or not isinstance(model.get("arch"), dict):
        return None
    base = by_any_name(str(model.get("name"))) or CONFIGURATIONS["f5-v1-base"]
    name = base.name if by_any_name(str(model.get("name"))) else str(model.get("name"))
    return replace(base, name=name, architecture=_architecture(model, path))


def _architecture(model: dict[str, Any], path: Path) -> Architecture:
    from realtts_f5.sizes import HEAD_SIZE, MELS, Architecture

    arch = model["arch"]
    spectrum = model.get("mel_spec") or {}
    others = {key: spectrum[key] for key, usual in _SPECTRUM.items() if spectrum.get(key, usual) != usual}
    if others:
        key, value = next(iter(others.items()))
        raise CheckpointMismatch(
            f"its {key} is {value!r}, and the published models and their vocoder have {_SPECTRUM[key]}",
            who=f"file {path.name!r}", fix="use a model for mel spectrograms as upstream's",
        )  # fmt: skip
    # Upstream's own file of the small v1 says so too; its inference reads all text as pinyin nevertheless.
    if model.get("tokenizer", "pinyin") == "char" and model.get("name") != "F5TTS_v1_Small":
        raise CheckpointMismatch(
            "its tokenizer is 'char', which is not supported", who=f"file {path.name!r}",
            fix="use a model that was trained with upstream's tokenizer 'pinyin'",
        )  # fmt: skip
    unsupported = {
        "backbone": model.get("backbone") not in {"DiT", "UNetT"},
        "mel_spec_type": spectrum.get("mel_spec_type", "vocos") != "vocos",
        "qk_norm": arch.get("qk_norm") is not None,
        "dim_head": arch.get("dim_head", HEAD_SIZE) != HEAD_SIZE,
        "long_skip_connection": bool(arch.get("long_skip_connection")),
        "text_embedding_average_upsampling": bool(arch.get("text_embedding_average_upsampling")),
        "skip_connect_type": arch.get("skip_connect_type", "concat") != "concat",
    }
    for name, is_unsupported in unsupported.items():
        if is_unsupported:
            raise CheckpointMismatch(
                f"its {name} is one that the published models have not", who=f"file {path.name!r}",
                fix="use a DiT or UNetT for Vocos without qk_norm or further additions",
            )  # fmt: skip
    heads = arch.get("pe_attn_head")
    try:
        return Architecture(
            backbone="dit" if model["backbone"] == "DiT" else "unet",
            dim=int(arch["dim"]),
            depth=int(arch["depth"]),
            heads=int(arch["heads"]),
            ff_mult=int(arch.get("ff_mult", 4)),
            text_dim=int(arch.get("text_dim") or MELS),
            conv_layers=int(arch.get("conv_layers", 0)),
            text_mask_padding=bool(arch.get("text_mask_padding", True)),
            rotary_heads=None if heads is None else int(heads),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointCorrupt(
            f"its part model.arch is not as upstream writes it: {error}", who=f"file {path.name!r}",
            fix="take upstream's configuration of the model",
        ) from error  # fmt: skip


def _beside(folder: Path, name: str) -> Path | None:
    path = folder / name
    return path if path.is_file() else None
