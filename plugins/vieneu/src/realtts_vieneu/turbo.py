"""v3 Turbo: upstream's own package on onnxruntime, as it speaks on a CPU; there is no faster path here.

Another architecture: a backbone and an acoustic decoder over sixteen codebooks at 12.5 frames a second, 48 kHz. Its
networks are published as graphs for onnxruntime, which the package's engine runs; text, voices and pauses are the
package's functions, too. Its GPU path, which wants torch 2.8 and code from the hub, is not used. What the package draws
comes from numpy's global generator, whose state is put in before each step and taken out behind it.

No weights could be had where this was written: the engine is run with random graphs of the same names and inputs.
"""

from __future__ import annotations

import contextlib
import importlib.resources
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from realtts.contract.types import Chunk, Voice, VoiceInfo
from realtts.errors import CheckpointCorrupt, InvalidOption, UnspeakableText
from realtts.kit.seeds import shared
from realtts.kit.voices import no_voice, voice_key
from realtts_vieneu.constants import TURBO_RATE
from realtts_vieneu.files import MARK
from realtts_vieneu.options import VieNeuOptions
from realtts_vieneu.text import cut_words, is_spoken, left_out_of
from realtts_vieneu.upstream import TURBO_MODULES, module

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from realtts.contract.context import Context
    from realtts.contract.types import Request
    from realtts_vieneu.loading import Found

__all__ = ["Turbo"]

_FRAME = 3840
"""Samples of a frame."""

_MOST_FRAMES = 300
"""Of a sentence, upstream's: 24 s."""

_DRAWING: Mapping[str, Any] = {"temperature": 0.8, "top_k": 25, "top_p": 0.95, "repetition_penalty": 1.2}
"""How frames are drawn unless somebody says otherwise: upstream's."""

_NOT_HERE = (
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
_VOICES = "voices_v3_turbo.json"
_CUE = "<|emotion_"


@dataclass(frozen=True)
class _Known:
    """A voice as the engine takes it.

    Attributes:
        embedding: Of the speaker, float32 (192,).
        codes: Of the recording, int64 (frames, 16).
        description: For people.
    """

    embedding: NDArray[np.float32]
    codes: NDArray[np.int64]
    description: str = ""


class Turbo:
    """A checkpoint of v3 Turbo in upstream's engine.

    Args:
        found: Its files.
        threads: Of onnxruntime; ``"auto"``: as the package chooses.

    Raises:
        MissingExtra: The package is not installed.
        CheckpointCorrupt: The file of its voices cannot be read.
    """

    def __init__(self, found: Found, threads: int | str) -> None:
        graphs = found.model[MARK].parent
        runtime, self._text, self._sound = map(module, TURBO_MODULES)
        self._engine = runtime.OnnxV3LiteEngine(
            checkpoint_path=str(graphs.parent), onnx_dir=str(graphs),
            codec_dir=str(next(iter(found.codec.values())).parent), threads=threads if isinstance(threads, int) else 0,
        )  # fmt: skip
        self._identity = found.model.identity(MARK)
        self._default, self._presets = self._read(importlib.resources.files("vieneu") / "assets" / _VOICES)
        if _VOICES in found.model:
            default, own = self._read(found.model[_VOICES])
            self._default, self._presets = default or self._default, {**self._presets, **own}

    def voices(self) -> list[VoiceInfo]:
        """Those of the package and of the checkpoint."""
        return [
            VoiceInfo(name, name=name, language="vi", description=known.description)
            for name, known in self._presets.items()
        ]

    def speak(self, context: Context, request: Request) -> Iterator[Chunk]:
        """Sentence by sentence, as frames come; between two sentences as long a pause as the package has there.

        Raises:
            UnspeakableText: Nothing of the text has a sound.
            VoiceNotFound: There is no such voice.
            InvalidOption: An option that v3 has not.
        """
        options = VieNeuOptions.of(request)
        if given := [name for name in _NOT_HERE if name in options.model_fields_set]:
            raise InvalidOption(f"{given[0]} is given", who="vieneu v3", fix="leave it out: v3 Turbo has no such thing")
        if not isinstance(request.voice, Voice):
            self._preset(request.voice)  # refused before any work; a recording is encoded behind what is refused
        sentences = self._sentences(request.text, options.max_chars)
        voice = self._voice(context, request.voice, denoise=options.denoise)
        return self._spoken(context, request, options, sentences, voice)

    def _spoken(
        self,
        context: Context,
        request: Request,
        options: VieNeuOptions,
        sentences: list[tuple[str, float]],
        voice: _Known,
    ) -> Iterator[Chunk]:
        limits = self._limits(context, request, options, [phonemes for phonemes, _ in sentences])
        dice, held, counted, cut = _Dice(request.seed), np.zeros(0, np.float32), 0, False
        for (phonemes, gap), limit in zip(sentences, limits, strict=True):
            frames = 0
            for samples in self._frames(dice, options, phonemes, limit, voice):
                if request.cancelled():
                    return
                if len(held):
                    yield Chunk(held, TURBO_RATE, tokens=counted)
                silent = self._sound.pause_pad_samples(held, samples, TURBO_RATE, gap) if gap and not frames else 0
                held = np.concatenate([np.zeros(silent, np.float32), samples]).astype(np.float32)
                counted = len(samples) // _FRAME
                frames += counted
            cut = cut or frames >= limit
        left_out = left_out_of(request.text)
        yield Chunk(
            held, TURBO_RATE, tokens=counted, finish_reason="length" if cut else "stop",
            warnings=(left_out,) if left_out else (),
        )  # fmt: skip

    def _frames(
        self, dice: _Dice, options: VieNeuOptions, phonemes: str, limit: int, voice: _Known
    ) -> Iterator[NDArray[np.float32]]:
        """The engine's stream of one sentence, each step with the request's own randomness."""
        given = {name: value for name in _DRAWING if (value := getattr(options, name)) is not None}
        stream = self._engine.infer_stream(
            phonemes=phonemes, speaker_emb=voice.embedding, ref_codes=voice.codes, max_new_frames=limit,
            chunk_frames=options.chunk_frames, frame_cap=False, **{**_DRAWING, **given},
        )  # fmt: skip
        while True:
            with dice.thrown():
                samples = next(stream, None)
            if samples is None:
                return
            yield np.asarray(samples, np.float32)

    def _sentences(self, text: str, max_chars: int) -> list[tuple[str, float]]:
        """Phonemes of the sentences that have any, and the seconds before each; none before the first."""
        # What looks like the engine's own tokens is text; its cues in brackets ("[cười]") are not.
        chunks, gaps = self._text.normalize_to_chunks_v3_with_gaps(
            cut_words(text.replace("<|", "< |")), max_chars=max_chars
        )
        found = [self._text.phonemize_text_with_emotions(chunk) for chunk in chunks]
        before = [0.0, *self._sound.gaps_to_silence(gaps)][: len(found)]
        spoken = [pair for pair in zip(found, before, strict=True) if _CUE in pair[0] or is_spoken(pair[0])]
        if not spoken:
            raise UnspeakableText(
                "there is nothing in it that is said in Vietnamese or English", who="vieneu v3",
                fix="write it in Latin letters or digits",
            )  # fmt: skip
        return [(spoken[0][0], 0.0), *spoken[1:]]

    def _limits(self, context: Context, request: Request, options: VieNeuOptions, sentences: list[str]) -> list[int]:
        """Most frames of each sentence. The engine cannot be kept from ending sooner, even for a benchmark."""
        forced = context.forced_tokens(request.text)
        if forced is not None:
            return list(shared(forced, [len(phonemes) for phonemes in sentences]))
        most = options.max_new_tokens or _MOST_FRAMES
        return [min(most, int(self._sound.max_expected_frames(phonemes))) for phonemes in sentences]

    def _voice(self, context: Context, voice: Voice | str | None, *, denoise: bool) -> _Known:
        if not isinstance(voice, Voice):
            return self._preset(voice)
        key = voice_key(voice, "vieneu", self._identity, denoise)
        embedding, codes = context.voice_cache.get_or_compute(
            key, lambda: self._engine.prepare_reference(voice.samples.copy(), sr=voice.sample_rate, denoise=denoise)
        )
        return _Known(embedding, codes)

    def _preset(self, name: str | None) -> _Known:
        wanted = name or self._default or next(iter(self._presets), "")
        if wanted not in self._presets:
            raise no_voice(wanted, self._presets, "vieneu v3", instead="give voice= a recording")
        return self._presets[wanted]

    def _read(self, path: Any) -> tuple[str | None, dict[str, _Known]]:
        """A file of voices: the default one's name, and all."""
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            found = {
                str(name): _Known(
                    np.asarray(about["speaker_emb"], np.float32),
                    self._sound.strip_encoder_pad_frame(np.asarray(about["codes"], np.int64)),
                    str(about.get("description") or ""),
                )
                for name, about in content["presets"].items()
            }
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise CheckpointCorrupt(
                f"it cannot be read: {error}", who=f"file {_VOICES!r}", fix="remove the file and fetch it again"
            ) from error
        return content.get("default_voice"), found


class _Dice:
    """The randomness of one request, in numpy's global generator only while it is thrown.

    Args:
        seed: Of the request.
    """

    def __init__(self, seed: int) -> None:
        generator = np.random.MT19937(np.random.SeedSequence(seed))
        self._state: Any = np.random.RandomState(generator).get_state()

    @contextlib.contextmanager
    def thrown(self) -> Iterator[None]:
        """Inside, numpy's global generator is the request's; outside nobody notices."""
        before = np.random.get_state()
        np.random.set_state(self._state)
        try:
            yield
        finally:
            self._state = np.random.get_state()
            np.random.set_state(before)
