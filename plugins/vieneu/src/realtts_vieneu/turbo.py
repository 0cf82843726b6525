"""v3 Turbo: upstream's own package on onnxruntime, as it speaks on a CPU; there is no faster path here.

Another architecture: a backbone and an acoustic decoder over sixteen codebooks at 12.5 frames a second, 48 kHz. Its
networks are published as graphs for onnxruntime, which the package's engine runs; text, voices and pauses are the
package's functions, too. Its GPU path, which needs torch 2.8 and code from the hub, is not used. The package draws from
numpy's global generator, whose state is set before each step and restored behind it.

No weights were available when this was written: tests run the engine with random graphs of the same names and inputs.
"""

from __future__ import annotations

import contextlib
import importlib.resources
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from realtts.audio import Joiner
from realtts.contract.types import Chunk, Voice
from realtts.errors import InvalidOption, UnspeakableText
from realtts.kit.reading import MALFORMED, read_json, unreadable
from realtts.kit.seeds import shared
from realtts.kit.voices import no_voice, voice_key
from realtts_vieneu.constants import TURBO_RATE
from realtts_vieneu.files import MARK, TURBO_VOICES
from realtts_vieneu.options import VieNeuOptions
from realtts_vieneu.presets import infos
from realtts_vieneu.text import is_spoken, prepared, unread_in
from realtts_vieneu.upstream import TURBO_MODULES, module

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from realtts.contract.context import Context
    from realtts.contract.types import Request, VoiceInfo
    from realtts_vieneu.loading import CheckpointFiles

__all__ = ["Turbo"]

_FRAME = 3840
"""Samples of a frame."""

_MOST_FRAMES = 300
"""Of a sentence, upstream's: 24 s."""

_DRAWING: Mapping[str, Any] = {"temperature": 0.8, "top_k": 25, "top_p": 0.95, "repetition_penalty": 1.2}
"""Upstream's defaults of sampling."""

_OTHERS_OPTIONS = (
    "prompt_format",
    "voices_file",
    "saved_voice",
    "do_sample",
    "emotion",
    "silence",
    "codec_device",
    "speech_only",
    "lookback",
    "look_ahead",
)
_CUE = "<|emotion_"


@dataclass(frozen=True)
class _EnrolledVoice:
    """A voice as the engine takes it.

    Attributes:
        embedding: Of the speaker, float32 (192,).
        codes: Of the recording, int64 (frames, 16).
        description: Shown to users.
    """

    embedding: NDArray[np.float32]
    codes: NDArray[np.int64]
    description: str = ""


class Turbo:
    """A checkpoint of v3 Turbo in upstream's engine.

    Args:
        files: Of the checkpoint and its codec.
        threads: Of onnxruntime; ``"auto"``: as many as the package chooses.

    Raises:
        MissingExtra: The package is not installed.
        CheckpointCorrupt: The file of its voices cannot be read.
    """

    def __init__(self, files: CheckpointFiles, threads: int | str) -> None:
        graphs = files.model[MARK].parent
        runtime, self._text, self._sound = map(module, TURBO_MODULES)
        self._engine = runtime.OnnxV3LiteEngine(
            checkpoint_path=str(graphs.parent), onnx_dir=str(graphs),
            codec_dir=str(next(iter(files.codec.values())).parent), threads=threads if isinstance(threads, int) else 0,
        )  # fmt: skip
        self._identity = files.model.identity(MARK)
        self._default, self._presets = self._read(importlib.resources.files("vieneu") / "assets" / TURBO_VOICES)
        if TURBO_VOICES in files.model:
            default, presets = self._read(files.model[TURBO_VOICES])
            self._default, self._presets = default or self._default, {**self._presets, **presets}

    def voices(self) -> list[VoiceInfo]:
        """List the voices of the package and of the checkpoint."""
        return infos({name: voice.description for name, voice in self._presets.items()}, None)

    def speak(self, context: Context, request: Request) -> Iterator[Chunk]:
        """Speak sentence by sentence, as frames come, with the package's pauses between two sentences.

        Raises:
            UnspeakableText: Nothing of the text has a sound.
            VoiceNotFound: There is no such voice.
            InvalidOption: An option that v3 Turbo does not have.
        """
        options = VieNeuOptions.of(request)
        if names := [name for name in _OTHERS_OPTIONS if name in options.model_fields_set]:
            raise InvalidOption(f"{names[0]} is given", who="vieneu v3", fix="leave it out: v3 Turbo has no such thing")
        if not isinstance(request.voice, Voice):
            self._preset(request.voice)  # an unknown voice is refused before any work
        sentences = self._sentences(request.text, options.max_chars)
        voice = self._voice(context, request.voice, denoise=options.denoise)
        return self._spoken(context, request, options, sentences, voice)

    def _spoken(
        self,
        context: Context,
        request: Request,
        options: VieNeuOptions,
        sentences: list[tuple[str, float]],
        voice: _EnrolledVoice,
    ) -> Iterator[Chunk]:
        limits = self._limits(context, request, options, [phonemes for phonemes, _ in sentences])
        # A chunk is held back until the next one comes, because the last one brings the warnings.
        dice, joiner = _Dice(request.seed), Joiner(TURBO_RATE, alone=len(sentences) == 1)
        held, newest, held_frames, cut = np.zeros(0, np.float32), np.zeros(0, np.float32), 0, False
        for (phonemes, gap), limit in zip(sentences, limits, strict=True):
            frames = 0
            for samples in self._frames(dice, options, phonemes, limit, voice):
                if request.cancelled():
                    return
                if held_frames and not frames:
                    pause = self._sound.pause_pad_samples(newest, samples, TURBO_RATE, gap) if gap else 0
                    held = np.concatenate([held, joiner.end_piece(pause / TURBO_RATE)])
                if held_frames:
                    yield Chunk(held, TURBO_RATE, tokens=held_frames)
                held, newest, held_frames = joiner.push(samples), samples, len(samples) // _FRAME
                frames += held_frames
            cut = cut or frames >= limit
        held = np.concatenate([held, joiner.finish()])
        yield Chunk(
            held, TURBO_RATE, tokens=held_frames, finish_reason="length" if cut else "stop",
            unread=unread_in(request.text),
        )  # fmt: skip

    def _frames(
        self, dice: _Dice, options: VieNeuOptions, phonemes: str, limit: int, voice: _EnrolledVoice
    ) -> Iterator[NDArray[np.float32]]:
        """Yield samples of one sentence as the engine streams them, each step with the request's own randomness."""
        drawing = {name: value for name in _DRAWING if (value := getattr(options, name)) is not None}
        stream = self._engine.infer_stream(
            phonemes=phonemes, speaker_emb=voice.embedding, ref_codes=voice.codes, max_new_frames=limit,
            chunk_frames=options.chunk_frames, frame_cap=False, **{**_DRAWING, **drawing},
        )  # fmt: skip
        while True:
            with dice.thrown():
                samples = next(stream, None)
            if samples is None:
                return
            yield np.asarray(samples, np.float32)

    def _sentences(self, text: str, max_chars: int) -> list[tuple[str, float]]:
        """Return phonemes of the sentences that have any, and seconds of silence before each; none before the first."""
        # Text that looks like the engine's own tokens is read as text; its cues in brackets ("[cười]") are cues.
        chunks, gaps = self._text.normalize_to_chunks_v3_with_gaps(
            prepared(text.replace("<|", "< |")), max_chars=max_chars
        )
        phonemes = [self._text.phonemize_text_with_emotions(chunk) for chunk in chunks]
        before = [0.0, *self._sound.gaps_to_silence(gaps)][: len(phonemes)]
        spoken = [pair for pair in zip(phonemes, before, strict=True) if _CUE in pair[0] or is_spoken(pair[0])]
        if not spoken:
            raise UnspeakableText(
                "there is nothing in it that is said in Vietnamese or English", who="vieneu v3",
                fix="write it in Latin letters or digits",
            )  # fmt: skip
        return [(spoken[0][0], 0.0), *spoken[1:]]

    def _limits(self, context: Context, request: Request, options: VieNeuOptions, sentences: list[str]) -> list[int]:
        """Return the most frames of each sentence; the engine may end sooner, even where a number is forced."""
        forced = context.forced_tokens(request.text)
        if forced is not None:
            return list(shared(forced, [len(phonemes) for phonemes in sentences]))
        most = options.max_new_tokens or _MOST_FRAMES
        return [min(most, int(self._sound.max_expected_frames(phonemes))) for phonemes in sentences]

    def _voice(self, context: Context, voice: Voice | str | None, *, denoise: bool) -> _EnrolledVoice:
        if not isinstance(voice, Voice):
            return self._preset(voice)
        key = voice_key(voice, "vieneu", self._identity, denoise)
        embedding, codes = context.voice_cache.get_or_compute(
            key, lambda: self._engine.prepare_reference(voice.samples.copy(), sr=voice.sample_rate, denoise=denoise)
        )
        return _EnrolledVoice(embedding, codes)

    def _preset(self, name: str | None) -> _EnrolledVoice:
        chosen = name or self._default or next(iter(self._presets), "")
        if chosen not in self._presets:
            raise no_voice(chosen, self._presets, "vieneu v3", instead="give voice= a recording")
        return self._presets[chosen]

    def _read(self, path: Any) -> tuple[str | None, dict[str, _EnrolledVoice]]:
        """Read a file of voices: the name of the default one, and all of them."""
        try:
            content = read_json(path)
            presets = {str(name): self._enrolled(about) for name, about in content["presets"].items()}
        except MALFORMED as error:
            raise unreadable(path, error) from error
        default = content.get("default_voice")
        return default if default in presets else None, presets

    def _enrolled(self, about: Mapping[str, Any]) -> _EnrolledVoice:
        embedding, codes = np.asarray(about["speaker_emb"], np.float32), np.asarray(about["codes"])
        if embedding.ndim != 1 or not np.isfinite(embedding).all() or codes.ndim != 2 or codes.dtype.kind not in "iu":
            raise ValueError("a voice is of another form")
        codes = self._sound.strip_encoder_pad_frame(codes.astype(np.int64))
        return _EnrolledVoice(embedding, codes, str(about.get("description") or ""))


class _Dice:
    """The randomness of one request, in numpy's global generator only while the engine draws.

    Args:
        seed: Of the request.
    """

    def __init__(self, seed: int) -> None:
        generator = np.random.MT19937(np.random.SeedSequence(seed))
        self._state: Any = np.random.RandomState(generator).get_state()

    @contextlib.contextmanager
    def thrown(self) -> Iterator[None]:
        """Let numpy's global generator be the request's inside; outside it is what it was."""
        before = np.random.get_state()
        np.random.set_state(self._state)
        try:
            yield
        finally:
            self._state = np.random.get_state()
            np.random.set_state(before)
