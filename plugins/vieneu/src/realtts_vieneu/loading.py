"""A checkpoint's files: their configuration, and their tensors, checked by name at once and read when they are needed.

A language model of v1 and one of v2 may have equal tensors and tokens, and given the other one's form of prompt a model
speaks nonsense; upstream decides by the repository's name and takes every local folder for v2. So the configuration is
never guessed: that of a published checkpoint is known, and any other checkpoint names it in a file ``realtts.json``, as
``{"configuration": "v1"}``. Without that file the option ``prompt_format`` is needed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from realtts import checkpoints
from realtts.accel.weights.tensorfile import read_state, shapes_of
from realtts.contract.spec import Checkpoint
from realtts.errors import CheckpointMismatch, CheckpointMissing, InvalidOption
from realtts.kit.reading import (
    NOTE,
    check_shapes,
    configuration_of,
    mismatch,
    noted_configuration,
    read_json,
    said_configuration,
)
from realtts.kit.shards import with_shards
from realtts_vieneu.codec_names import named
from realtts_vieneu.codec_sizes import CodecSizes, read_codec_sizes
from realtts_vieneu.configurations import CODEC_ID, CONFIGURATIONS, SEMANTIC_ID, TURBO, TURBO_CODEC_ID
from realtts_vieneu.files import (
    CODEC,
    CODEC_FILES,
    CODEC_FOLDERS,
    MARK,
    PACKED_CODEC,
    TURBO_CODEC_FILES,
    VOICES,
    WEIGHTS,
    files_of,
)
from realtts_vieneu.prompt import TokenReader
from realtts_vieneu.shapes import HEAD, check_codec, model_shapes
from realtts_vieneu.sizes import Sizes, read_sizes
from realtts_vieneu.utterance import DEFAULTS
from realtts_vieneu.voices import Presets, read_presets

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from realtts.accel.sampling import SamplingParams
    from realtts.accel.weights.tensorfile import State
    from realtts.checkpoints import Files
    from realtts.contract.events import Event
    from realtts_vieneu.configurations import Configuration

__all__ = ["NO_TURBO", "CheckpointFiles", "Weights", "fetch", "open_checkpoint", "why_turbo"]

NO_TURBO = "v3 Turbo is published as graphs for onnxruntime, which upstream's package runs: there is no other path yet"
"""Why the optimized variant does not speak v3 Turbo."""

_MARKS = (NOTE, MARK)
"""Small files that tell a configuration."""


@dataclass(frozen=True)
class CheckpointFiles:
    """The files of a model and of its codec.

    Attributes:
        configuration: None: no file names it.
        model: Files of the checkpoint.
        codec: Files of the codec.
    """

    configuration: Configuration | None
    model: Files
    codec: Files

    @property
    def turbo(self) -> bool:
        """Whether it is v3 Turbo, which is no language model over NeuCodec."""
        return self.configuration is not None and self.configuration.name == TURBO


@dataclass(frozen=True)
class Weights:
    """A checkpoint, opened.

    Attributes:
        configuration: None: no file names it.
        sizes: Of the language model.
        codec: Sizes of the codec.
        drawing: Upstream's parameters of sampling, and those that ``generation_config.json`` adds.
        model_state: Tensors of the language model.
        codec_state: Tensors of the codec, by the names of transformers' ``NeuCodecModel``.
        codec_file: Name of their file, for messages.
        reader: Turns phonemes and codes into tokens.
        presets: Voices of ``voices.json``.
        identity: Changes with the codec's weights; part of the keys of codes that are cached.
    """

    configuration: Configuration | None
    sizes: Sizes
    codec: CodecSizes
    drawing: SamplingParams
    model_state: State
    codec_state: State
    codec_file: str
    reader: TokenReader
    presets: Presets
    identity: str

    def semantic(self) -> State | None:
        """Return tensors of w2v-bert-2.0 where the codec's file lacks them; None: it has them, or no encoder at all.

        Raises:
            CheckpointError: As `realtts.checkpoints.fetch`.
        """
        parts = {name.partition(".")[0] for name in self.codec_state}
        if "semantic_encoder" in parts or "acoustic_encoder" not in parts:
            return None
        checkpoint = Checkpoint(SEMANTIC_ID.rpartition("/")[2], source=SEMANTIC_ID, licence="MIT")
        return read_state(checkpoints.fetch(checkpoint, with_shards([WEIGHTS])).first(WEIGHTS))


def fetch(
    checkpoint: Checkpoint | None,
    report: Callable[[Event], None] | None = None,
    *,
    check: Callable[[bool], None] | None = None,
) -> CheckpointFiles:
    """Return the files of a checkpoint and of its codec, and download those that are not here.

    The codec is looked for beside a local folder's weights, in ``codec`` or ``neucodec``, else on the hub.

    Args:
        checkpoint: ``context.checkpoint``.
        report: ``context.report``.
        check: Called with whether it is v3 Turbo before any weights are downloaded, and may refuse them.

    Raises:
        CheckpointError: As `realtts.checkpoints.fetch`.
        CheckpointCorrupt: ``realtts.json`` cannot be read.
        CheckpointMismatch: It names an unknown configuration.
    """
    configuration = _local(checkpoint) or _looked_up(checkpoint, report)
    turbo = configuration is not None and configuration.name == TURBO
    if check is not None:
        check(turbo)
    model = checkpoints.fetch(checkpoint, files_of(configuration), report=report)
    return CheckpointFiles(configuration, model, _codec(_folder(checkpoint), turbo=turbo, report=report))


def why_turbo(checkpoint: Checkpoint | None) -> str | None:
    """Return for `probe` why the optimized variant does not speak a checkpoint of v3 Turbo; None: it is another one."""
    configuration = _local(checkpoint)
    return NO_TURBO if configuration is not None and configuration.name == TURBO else None


def open_checkpoint(source: CheckpointFiles) -> Weights:
    """Read the small files, and check that every tensor is there, has its shape, and that there are no others.

    The codec's encoder may be missing, and is checked when a recording is encoded.

    Args:
        source: From `fetch`, not v3 Turbo's.

    Raises:
        CheckpointCorrupt: A file cannot be read.
        CheckpointMismatch: A file is of another model; a tensor is missing, unexpected or misshapen.
    """
    files, sound = source.model, source.codec
    sizes = read_sizes(read_json(files["config.json"]))
    model = read_state(files.first(WEIGHTS))
    check_shapes(model.shapes, model_shapes(sizes), f"file {WEIGHTS!r}", spare=(HEAD,))
    packed = sound.first(CODEC, PACKED_CODEC)
    codec_file, codec_state = f"{packed.parent.name}/{packed.name}", read_state(packed)
    codec = read_codec_sizes(_codec_config(sound) if packed.name.startswith(CODEC) else {})
    check_codec(codec, shapes_of(codec_state), f"file {codec_file!r}")
    return Weights(
        configuration=source.configuration,
        sizes=sizes,
        codec=codec,
        drawing=_drawing(files["generation_config.json"]) if "generation_config.json" in files else DEFAULTS,
        model_state=model,
        codec_state=named(codec_state),
        codec_file=codec_file,
        reader=TokenReader(files["tokenizer.json"], sizes),
        presets=read_presets(files[VOICES]) if VOICES in files else Presets(),
        identity=sound.identity(CODEC, PACKED_CODEC),
    )


def _drawing(path: Path) -> SamplingParams:
    """Read ``generation_config.json``, but for temperature and ``top_k``, which upstream gives to ``generate``."""
    content = read_json(path)
    values = {name: content[name] for name in ("top_p", "repetition_penalty") if content.get(name) is not None}
    try:
        return replace(DEFAULTS, **values)
    except InvalidOption as error:
        raise CheckpointMismatch(error.what, who=f"file {path.name!r}", fix=error.fix) from None


def _codec_config(files: Files) -> dict[str, Any]:
    if "config.json" not in files:
        raise CheckpointMissing(
            "it lies without the codec's config.json", who=f"file {CODEC!r}", fix="put that file beside it"
        )
    return read_json(files["config.json"])


def _codec(folder: Path | None, *, turbo: bool, report: Callable[[Event], None] | None) -> Files:
    """Return the files of the codec beside a local folder's weights, else the hub's."""
    names = TURBO_CODEC_FILES if turbo else CODEC_FILES
    beside = [] if folder is None else [folder / name for name in CODEC_FOLDERS]
    for path in beside:
        if path.is_dir():
            return checkpoints.fetch(Checkpoint(path.name, path=path), names, report=report)
    source = TURBO_CODEC_ID if turbo else CODEC_ID
    return checkpoints.fetch(Checkpoint(source.rpartition("/")[2], source=source), names, report=report)


def _folder(checkpoint: Checkpoint | None) -> Path | None:
    return None if checkpoint is None else checkpoint.path


def _local(checkpoint: Checkpoint | None) -> Configuration | None:
    """Return the configuration of a checkpoint as far as it is known without the network; None: it is not."""
    folder = _folder(checkpoint)
    if folder is None:
        return configuration_of(checkpoint, CONFIGURATIONS)
    return _by_files({name: path for name in _MARKS if (path := folder / name).is_file()}, checkpoint)


def _looked_up(checkpoint: Checkpoint | None, report: Callable[[Event], None] | None) -> Configuration | None:
    """Return the configuration that somebody else's repository names, before its weights are fetched."""
    if _folder(checkpoint) is not None:
        return None
    return _by_files(checkpoints.fetch(checkpoint, [(name, None) for name in _MARKS], report=report), checkpoint)


def _by_files(files: Mapping[str, Path], checkpoint: Checkpoint | None) -> Configuration | None:
    """Return the configuration that the call or `NOTE` names.

    v3 Turbo is known by its graphs, too, which no other model has.

    Raises:
        CheckpointMismatch: Call and files name different ones.
    """
    noted = noted_configuration(files[NOTE], CONFIGURATIONS) if NOTE in files else None
    by_file = noted or (CONFIGURATIONS[TURBO] if MARK in files else None)
    said = said_configuration(checkpoint, CONFIGURATIONS)
    if said is not None and by_file is not None and said != by_file:
        raise mismatch(
            f"configuration= says that it is {said.name}, and {NOTE if noted else MARK} that it is {by_file.name}",
            "the checkpoint", "correct the one that is wrong",
        )  # fmt: skip
    return said or by_file
