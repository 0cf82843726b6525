"""The real model: the samples of kokoro-onnx, the plain variant's and the optimized one's, with the words in place."""

from __future__ import annotations

import numpy as np
import pytest

from realtts import RealProvider
from realtts_kokoro.catalogue import language_of
from realtts_kokoro.phrases import phrases_of
from realtts_kokoro.vocabulary import NUMBERS

TEXT = "Hello there, nobody went out."


def test_samples_are_those_of_kokoro_onnx(real, tmp_path) -> None:
    """Bit by bit, for the same phonemes; every word is where something sounds."""
    kokoro_onnx = pytest.importorskip("kokoro_onnx", reason="kokoro-onnx is not installed")
    from realtts_kokoro.files import files_at_hand

    files = files_at_hand(real.context.checkpoint)
    (tmp_path / "model.onnx").write_bytes(files.content())
    chunk = next(real.stream(TEXT, voice="jf_alpha", language="en-us"))
    language = language_of("en-us")
    (phrase,) = phrases_of(TEXT, language, real.model.phonemizers.of(language, None), clauses=False)
    letters = {number: symbol for symbol, number in NUMBERS.items()}
    upstream = kokoro_onnx.Kokoro.from_session(_session(tmp_path / "model.onnx"), str(files.voices["jf_alpha"]))
    samples, rate = upstream.create(
        "".join(letters[number] for number in phrase.numbers), "jf_alpha",
        is_phonemes=True, trim=False, sentence_pause=0, clause_pause=0,
    )  # fmt: skip
    assert rate == chunk.sample_rate
    assert np.array_equal(np.clip(samples, -1, 1), chunk.samples)
    assert [TEXT[slice(*mark.span)] for mark in chunk.marks] == ["Hello", "there", "nobody", "went", "out"]
    loud = [np.abs(samples[int(mark.start * rate) : int(mark.end * rate)]).max() for mark in chunk.marks]
    assert min(loud) > 0.02


@pytest.mark.full
def test_both_variants_say_the_same(real) -> None:
    """And a real request comes through the whole core."""
    said = next(real.stream("Good.", voice="jf_alpha", language="en-us")).samples
    with RealProvider("kokoro", model="packages", threads=1) as tts:
        speech = tts.generate("Good.", voice="jf_alpha", language="en-us")
    assert np.array_equal(speech.samples, said)
    assert not speech.warnings


def _session(path):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
