"""The graph of a voice, whole or in parts: phonemes to lengths, lengths to a latent sound, and that to samples.

VITS draws noise twice, inside the graph, where no seed reaches it. The graph is cut there, so that a request's own seed
draws it; and before its vocoder, so that long sentences become sound window by window. No number changes by that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from realtts.errors import AccelError, CheckpointCorrupt, CheckpointMismatch
from realtts.kit.onnx import OnnxGraph
from realtts.kit.onnx_cut import OnnxFile
from realtts_piper.windows import LATER, MOST_REACH, SOON, reach_of, windows_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from realtts.contract.context import Context
    from realtts_piper.voice import PiperVoice

__all__ = ["Network", "Scales", "Sound"]

_WHO = "provider 'piper'"
_INPUTS = {"input", "input_lengths", "scales"}
_SPEAKER = "sid"
_RANDOM = "RandomNormalLike"
_VOCODER = "dec.conv_pre.weight"
"""What exports call the weights that the vocoder begins with."""

_TYPES = {
    "tensor(float)": "float32", "tensor(int64)": "int64", "tensor(bool)": "bool", "tensor(int32)": "int32",
    "tensor(float16)": "float16", "tensor(double)": "float64",
}  # fmt: skip


@dataclass(frozen=True)
class Scales:
    """Numbers that steer the graph.

    Attributes:
        noise: Variation of the sound.
        length: Length of the sounds.
        width_noise: Variation of the lengths.
    """

    noise: float
    length: float
    width_noise: float


@dataclass(frozen=True)
class Sound:
    """A phrase about to be heard.

    Attributes:
        frames: Frames that each number of the phrase lasts, int64 of shape (n,); None: the graph does not tell.
        blocks: The samples, float32 of shape (m,), block by block.
    """

    frames: NDArray[np.int64] | None
    blocks: Iterator[NDArray[np.float32]]


class _Stage:
    """A part of the graph.

    Args:
        graph: It, opened.
    """

    def __init__(self, graph: OnnxGraph) -> None:
        self._graph = graph
        self.outputs = graph.outputs
        self.execution_provider = graph.provider
        self.types = {each.name: _TYPES[each.type] for each in graph.session.get_outputs() if each.type in _TYPES}

    def __call__(self, tensors: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        given = {name: np.ascontiguousarray(tensors[name]) for name in self._graph.inputs}
        return dict(zip(self.outputs, self._graph.run(given), strict=True))


class Network:
    """The graph of a voice; any number of threads may use it.

    Args:
        content: What stands in its file.
        voice: Its configuration.
        context: Of `load`.
        name: The file's name, for messages.
        windows: Whether the vocoder is cut off, to run window by window.

    Attributes:
        seeded: Whether a seed repeats its noise.
        windowed: Whether it becomes sound window by window.
        execution_provider: ONNX Runtime's name of what it runs on.

    Raises:
        CheckpointCorrupt: It is no graph.
        CheckpointMismatch: It is another one than its configuration describes.
        AccelError, MissingExtra: As `realtts.kit.onnx.OnnxGraph.open`.
    """

    def __init__(self, content: bytes, voice: PiperVoice, context: Context, *, name: str, windows: bool) -> None:
        self._voice, self._context, self._name = voice, context, name
        try:
            file = OnnxFile(content)
        except ValueError as error:
            raise CheckpointCorrupt(
                f"{name} cannot be read as a graph: {error}", who=_WHO,
                fix="get the file again: what lies there is damaged",
            ) from error  # fmt: skip
        self._check(file)
        self._stages: list[_Stage] = []
        self._noise = self._width_noise = self._shape = self._lengths = self._latent = ""
        self.seeded = self.windowed = False
        self._reach = MOST_REACH
        if not self._cut(file, windows=windows):
            self._stages = [_Stage(self._open(content))]
            self.seeded = not any(node.op.startswith("Random") for node in file.nodes)
            self._lengths = file.outputs[1] if len(file.outputs) > 1 else ""
        self._output = file.outputs[0]
        self.execution_provider = self._stages[0].execution_provider
        self._takes_speaker = _SPEAKER in file.inputs

    def __call__(
        self, ids: Sequence[int], scales: Scales, speaker: int | None, random: np.random.Generator, *, soon: bool
    ) -> Sound:
        """Begin a phrase.

        Args:
            ids: Numbers of its symbols.
            scales: Of the request.
            speaker: Number; None where there is one only.
            random: Draws the noise, of lengths first.
            soon: Whether its first samples are heard before the rest.
        """
        tensors = self._latent_sound(ids, scales, speaker, random)
        return Sound(self._frames(tensors, len(ids)), self._blocks(tensors, SOON if soon else LATER))

    def fit_windows(self, ids: Sequence[int], scales: Scales) -> None:
        """Let each window see as many frames around it as its samples depend on; where those are many, cut none.

        Args:
            ids: Numbers of some symbols.
            scales: Of the voice.

        Raises:
            AccelError: Its configuration has another hop_length than the graph.
        """
        if not self.windowed:
            return
        tensors = self._latent_sound(ids, scales, None, np.random.default_rng(0))
        reach = reach_of(lambda latent: self._samples(tensors, latent), tensors[self._latent], self._voice.hop_length)
        self.windowed = reach is not None
        self._reach = MOST_REACH if reach is None else reach

    def _latent_sound(
        self, ids: Sequence[int], scales: Scales, speaker: int | None, random: np.random.Generator
    ) -> dict[str, NDArray[Any]]:
        """Run all parts of the graph but the vocoder of windows; return what they give."""
        tensors: dict[str, NDArray[Any]] = {
            "input": np.asarray([ids], np.int64),
            "input_lengths": np.asarray([len(ids)], np.int64),
            "scales": np.asarray([scales.noise, scales.length, scales.width_noise], np.float32),
        }
        if self._takes_speaker:
            tensors[_SPEAKER] = np.asarray([speaker or 0], np.int64)
        if self._width_noise:
            tensors[self._width_noise] = random.standard_normal((1, 2, len(ids)), np.float32)
        tensors |= self._stages[0](tensors)
        if self._noise:
            tensors[self._noise] = random.standard_normal(tensors[self._shape].shape, np.float32)
        for stage in self._stages[1:-1] if self.windowed else self._stages[1:]:
            tensors |= stage(tensors)
        return tensors

    def _samples(self, tensors: Mapping[str, NDArray[Any]], latent: NDArray[Any]) -> NDArray[np.float32]:
        samples = _flat(self._stages[-1]({**tensors, self._latent: latent})[self._output])
        count, hop = latent.shape[-1], self._voice.hop_length
        if len(samples) != count * hop:
            # Whole, it can be spoken: the plain variant does.
            raise AccelError(
                f"a frame is {len(samples) / count:g} samples, and hop_length is {hop}", who=_WHO,
                fix=f"correct hop_length in {self._name}.json",
            )  # fmt: skip
        return samples

    def _frames(self, tensors: Mapping[str, NDArray[Any]], count: int) -> NDArray[np.int64] | None:
        lengths, whole = tensors.get(self._lengths), tensors.get(self._output)
        if lengths is None or lengths.size != count:
            return None
        frames = lengths.reshape(-1).astype(np.int64)
        # With another hop_length than the graph's, marks would be somewhere else.
        return frames if whole is None or int(frames.sum()) * self._voice.hop_length == whole.size else None

    def _blocks(self, tensors: Mapping[str, NDArray[Any]], windows: tuple[int, int]) -> Iterator[NDArray[np.float32]]:
        if not self.windowed:
            yield _flat(tensors[self._output])
            return
        latent, hop = tensors[self._latent], self._voice.hop_length
        count = latent.shape[-1]
        for start, end in windows_of(count, windows):
            left, right = max(0, start - self._reach), min(count, end + self._reach)
            samples = self._samples(tensors, latent[..., left:right])
            yield samples[(start - left) * hop : (end - left) * hop]

    def _cut(self, file: OnnxFile, *, windows: bool) -> bool:
        """Open the graph in parts; tell whether it is one of the kind that can be cut."""
        lengths = [node.outputs[0] for node in file.nodes if node.op == "Ceil"]
        random = [index for index, node in enumerate(file.nodes) if node.op.startswith("Random")]
        early = [index for index in random if index in file.needed(lengths)]
        late = [index for index in random if index not in early and file.nodes[index].op == _RANDOM]
        if len(lengths) != 1 or len(early) > 1 or len(late) != 1 or len(random) != len(early) + 1:
            return False
        noise = file.nodes[late[0]]
        if any(file.nodes[index].op != _RANDOM for index in early) or any(node.nested for node in file.nodes):
            return False
        self._lengths, self._noise, self._shape = lengths[0], noise.outputs[0], noise.inputs[0]
        self._width_noise = file.nodes[early[0]].outputs[0] if early else ""
        starts = [node.inputs[0] for node in file.nodes if node.op == "Conv" and _VOCODER in node.inputs]
        self.windowed = windows and len(starts) == 1
        self._latent = starts[0] if self.windowed else ""
        self._open_parts(file)
        self.seeded = True
        return True

    def _open_parts(self, file: OnnxFile) -> None:
        drawn = {self._noise: "float32"} | ({self._width_noise: "float32"} if self._width_noise else {})
        steps = [[self._lengths, self._shape], *([[self._latent]] if self.windowed else []), [file.outputs[0]]]
        nodes: list[set[int]] = []
        for wanted in steps:
            nodes.append(file.needed(wanted, drawn).difference(*nodes))
        given, done = dict(drawn), set[int]()
        for number, wanted in enumerate(steps):
            done |= nodes[number]
            later = set[int]().union(*nodes[number + 1 :])
            outputs = tuple(dict.fromkeys((*wanted, *file.between(done, later))))
            new = tuple(name for name in outputs if name not in given)
            stage = _Stage(self._open(file.part(new, given)))
            given |= stage.types
            self._stages.append(stage)
        if self.windowed and set(self._stages[-1].outputs) != {file.outputs[0]}:
            raise AssertionError("the vocoder is the last part")

    def _open(self, content: bytes) -> OnnxGraph:
        return OnnxGraph.open(content, self._context, name=self._name)

    def _check(self, file: OnnxFile) -> None:
        inputs = set(file.inputs) & (_INPUTS | {_SPEAKER})
        if not inputs >= _INPUTS or not file.outputs:
            raise self._mismatch(f"its inputs are {', '.join(file.inputs[:6])}, not those of a Piper voice")
        if (_SPEAKER in inputs) != (self._voice.num_speakers > 1):
            have = "several speakers" if _SPEAKER in inputs else "one speaker"
            raise self._mismatch(f"it has {have}, and num_speakers is {self._voice.num_speakers}")

    def _mismatch(self, what: str) -> CheckpointMismatch:
        return CheckpointMismatch(
            f"{self._name} is not what {self._name}.json describes: {what}", who=_WHO,
            fix="put the two files of one voice side by side",
        )  # fmt: skip


def _flat(samples: NDArray[Any]) -> NDArray[np.float32]:
    return np.asarray(samples, np.float32).reshape(-1)
