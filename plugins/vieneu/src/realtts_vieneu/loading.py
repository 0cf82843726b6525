"""A checkpoint's files: which configuration they are of, and its tensors, read when asked for and refused by name.

A language model of v1 and one of v2 may have equal tensors and tokens, and one asked in the other's form speaks
nonsense; upstream decides by the repository's name and takes every local folder for v2. So the configuration is never
guessed: of a published checkpoint it is known, and of any other a file ``realtts.json`` says it, with
``{"configuration": "v1"}``. Where nothing does, the option ``prompt_format`` has to.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from realtts import checkpoints
from realtts.accel.weights.tensorfile import TensorFile, read_state, shapes_of
from realtts.contract.spec import Checkpoint
from realtts.errors import CheckpointMismatch, CheckpointMissing, InvalidOption
from realtts.kit.reading import NOTE, check_shapes, known, noted, read_json
from realtts_vieneu.codec_names import DECODER, named, named_shapes
from realtts_vieneu.codec_sizes import CodecSizes, read_codec_sizes
from realtts_vieneu.configurations import CODEC_ID, CONFIGURATIONS, SEMANTIC_ID, TURBO, TURBO_CODEC_ID
from realtts_vieneu.files import (
    CODEC,
    CODEC_FILES,
    CODEC_FOLDERS,
    MARK,
    PACKED_CODEC,
    TURBO_CODEC_FILES,
    WEIGHTS,
    files_of,
)
from realtts_vieneu.prompt import TokenReader
from realtts_vieneu.shapes import HEAD, codec_shapes, model_shapes
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

__all__ = ["NO_TURBO", "Found", "Weights", "fetch", "open_checkpoint", "why_turbo"]

NO_TURBO = "v3 Turbo is published as graphs for onnxruntime, which upstream's package runs: there is no other path yet"
"""Why it is not spoken faster."""

_TELLING = (NOTE, MARK)


@dataclass(frozen=True)
class Found:
    """The files of a model and of its codec.

    Attributes:
        configuration: None: nothing says which.
        model: Of the checkpoint.
        codec: Of the codec.
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
        configuration: None: nothing says which.
        sizes: Of the language model.
        codec: Of the codec.
        drawing: Upstream's way, and what ``generation_config.json`` asks for beside.
        model_state: Tensors of the language model.
        codec_state: Tensors of the codec, by the names of transformers' ``NeuCodecModel``.
        codec_file: Where they are, for messages.
        reader: Phonemes and codes to tokens.
        presets: ``voices.json``.
        identity: What changes when the codec's weights do, for keys of what is computed with them.
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
        """Tensors of w2v-bert-2.0 where the codec's file lacks just them; None: it has them, or no encoder at all.

        Raises:
            CheckpointError: As `realtts.checkpoints.fetch`.
        """
        parts = {name.partition(".")[0] for name in self.codec_state}
        if "semantic_encoder" in parts or "acoustic_encoder" not in parts:
            return None
        wanted = Checkpoint(SEMANTIC_ID.rpartition("/")[2], source=SEMANTIC_ID, licence="MIT")
        return read_state(checkpoints.fetch(wanted, [WEIGHTS])[WEIGHTS])


def fetch(
    checkpoint: Checkpoint | None,
    report: Callable[[Event], None] | None = None,
    *,
    check: Callable[[bool], None] | None = None,
) -> Found:
    """The files of a checkpoint and of its codec, downloaded where they must be.

    The codec is looked for beside a local folder's weights, in ``codec`` or ``neucodec``, else on the hub.

    Args:
        checkpoint: ``context.checkpoint``.
        report: ``context.report``.
        check: Called with whether it is v3 Turbo before any weights are downloaded, and may refuse them.

    Raises:
        CheckpointError: As `realtts.checkpoints.fetch`.
        CheckpointCorrupt: ``realtts.json`` cannot be read.
        CheckpointMismatch: It names a configuration that there is not.
    """
    configuration = _known(checkpoint) or _looked_up(checkpoint, report)
    turbo = configuration is not None and configuration.name == TURBO
    if check is not None:
        check(turbo)
    model = checkpoints.fetch(checkpoint, files_of(configuration), report=report)
    return Found(configuration, model, _codec(_folder(checkpoint), turbo=turbo, report=report))


def why_turbo(checkpoint: Checkpoint | None) -> str | None:
    """For `probe`: why there is no faster path for v3 Turbo."""
    configuration = _known(checkpoint)
    return NO_TURBO if configuration is not None and configuration.name == TURBO else None


def open_checkpoint(found: Found) -> Weights:
    """Read what is small, and check that every tensor is there, in its shape, and none besides.

    Of the codec that is what decodes; what encodes may be missing, and is checked when a recording is encoded.

    Args:
        found: From `fetch`, not v3 Turbo's.

    Raises:
        CheckpointCorrupt: A file cannot be read.
        CheckpointMismatch: A file is of another model; a tensor is missing, unexpected or misshapen.
    """
    files, sound = found.model, found.codec
    sizes = read_sizes(read_json(files["config.json"]))
    model = TensorFile(files[WEIGHTS])
    check_shapes(model.shapes, model_shapes(sizes), f"file {WEIGHTS!r}", spare=(HEAD,))
    packed = sound.first(CODEC, PACKED_CODEC)
    codec_file, codec_state = f"{packed.parent.name}/{packed.name}", read_state(packed)
    codec = read_codec_sizes(_codec_config(sound) if packed.name == CODEC else {})
    decoder = named_shapes(shapes_of(codec_state), DECODER)
    check_shapes(decoder, codec_shapes(codec), f"file {codec_file!r}")
    return Weights(
        configuration=found.configuration,
        sizes=sizes,
        codec=codec,
        drawing=_drawing(files["generation_config.json"]) if "generation_config.json" in files else DEFAULTS,
        model_state=model,
        codec_state=named(codec_state),
        codec_file=codec_file,
        reader=TokenReader(files["tokenizer.json"], sizes),
        presets=read_presets(files["voices.json"]) if "voices.json" in files else Presets(),
        identity=sound.identity(CODEC, PACKED_CODEC),
    )


def _drawing(path: Path) -> SamplingParams:
    """Temperature and ``top_k`` are upstream's whatever the file says, for it gives them to ``generate``."""
    content = read_json(path)
    own = {name: content[name] for name in ("top_p", "repetition_penalty") if content.get(name) is not None}
    try:
        return replace(DEFAULTS, **own)
    except InvalidOption as error:
        raise CheckpointMismatch(error.what, who=f"file {path.name!r}", fix=error.fix) from None


def _codec_config(files: Files) -> dict[str, Any]:
    if "config.json" not in files:
        raise CheckpointMissing(
            "it lies without the codec's config.json", who=f"file {CODEC!r}", fix="put that file beside it"
        )
    return read_json(files["config.json"])


def _codec(folder: Path | None, *, turbo: bool, report: Callable[[Event], None] | None) -> Files:
    """The codec beside the weights of a local folder, else the hub's."""
    wanted = TURBO_CODEC_FILES if turbo else CODEC_FILES
    beside = [] if folder is None else [folder / name for name in CODEC_FOLDERS]
    for path in beside:
        if path.is_dir():
            return checkpoints.fetch(Checkpoint(path.name, path=path), wanted, report=report)
    source = TURBO_CODEC_ID if turbo else CODEC_ID
    return checkpoints.fetch(Checkpoint(source.rpartition("/")[2], source=source), wanted, report=report)


def _folder(checkpoint: Checkpoint | None) -> Path | None:
    return None if checkpoint is None else checkpoint.path


def _known(checkpoint: Checkpoint | None) -> Configuration | None:
    """What is known of a checkpoint before any of its weights is fetched; None: nothing says which it is."""
    folder = _folder(checkpoint)
    if folder is None:
        return known(checkpoint, CONFIGURATIONS)
    return _by_files({name: path for name in _TELLING if (path := folder / name).is_file()})


def _looked_up(checkpoint: Checkpoint | None, report: Callable[[Event], None] | None) -> Configuration | None:
    """What somebody else's repository says, asked before its weights are."""
    if _folder(checkpoint) is not None:
        return None
    return _by_files(checkpoints.fetch(checkpoint, [(name, None) for name in _TELLING], report=report))


def _by_files(found: Mapping[str, Path]) -> Configuration | None:
    """v3 Turbo is known by its graphs, which no other has; the others by nothing but what is said."""
    if NOTE in found:
        return noted(found[NOTE], CONFIGURATIONS)
    return CONFIGURATIONS[TURBO] if MARK in found else None
