"""Conformance: what a provider says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from realtts import audio

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from realtts.contract.spec import ProviderSpec
    from realtts.provider.facade import RealProvider

__all__ = ["SpeakingTests", "assert_same"]

LOUDEST_EDGE = 0.05
"""Sample beside a pause that is not heard as a click, of full scale 1; espeak's own sentences end at up to 0.03."""


def assert_same(left: NDArray[np.float32], right: NDArray[np.float32], tolerance: float) -> None:
    """Assert that both have the same length and differ by no more than the tolerance."""
    assert left.shape == right.shape
    if len(left):
        assert float(np.abs(left - right).max()) <= tolerance


def _pauses(samples: NDArray[np.float32], least: int) -> list[tuple[int, int]]:
    """Return where stretches of zeros inside the sound begin and end.

    Args:
        samples: Of shape (n,).
        least: Samples of the shortest stretch that counts.
    """
    silent = np.concatenate([[0], samples == 0, [0]]).astype(np.int8)
    starts, ends = np.flatnonzero(np.diff(silent) == 1), np.flatnonzero(np.diff(silent) == -1)
    return [
        (int(start), int(end))
        for start, end in zip(starts, ends, strict=True)
        if end - start >= least and start and end < len(samples)
    ]


class SpeakingTests:
    """Tests of speech, seeds, streams, batches, marks, speed and voices."""

    def test_speaks(self, provider: RealProvider, text: str, options: dict[str, Any]) -> None:
        """A text becomes audible, finite audio within full scale, at a rate of the spec, with metrics."""
        speech = provider.generate(text, **options)
        assert speech.samples.dtype == np.float32
        assert speech.samples.ndim == 1
        assert speech.sample_rate in provider.spec.sample_rates
        assert np.isfinite(speech.samples).all()
        assert audio.peak(speech.samples) <= 1.0
        assert not audio.is_silent(speech.samples)
        assert speech.finish_reason in {"stop", "length"}
        assert speech.metrics.total_s >= speech.metrics.first_audio_s > 0
        assert speech.provider == provider.spec.name

    def test_seed_repeats_the_speech(self, provider: RealProvider, text: str, options: dict[str, Any]) -> None:
        """The same seed gives the same samples, and the drawn seed is told."""
        first = provider.generate(text, **options)
        again = provider.generate(text, seed=first.seed, **options)
        assert_same(first.samples, again.samples, 0.0)

    def test_stream_equals_whole(
        self, provider: RealProvider, long_text: str, options: dict[str, Any], tolerance: float
    ) -> None:
        """The chunks of a stream, put together, are the whole speech; the last one says how it ended."""
        whole = provider.generate(long_text, seed=7, **options)
        chunks = list(provider.stream(long_text, seed=7, **options))
        assert chunks[-1].finish_reason == whole.finish_reason
        assert {chunk.sample_rate for chunk in chunks} == {whole.sample_rate}
        assert_same(np.concatenate([chunk.samples for chunk in chunks]), whole.samples, tolerance)
        assert tuple(mark for chunk in chunks for mark in chunk.marks) == whole.marks

    def test_batch_equals_single(
        self, provider: RealProvider, text: str, long_text: str, options: dict[str, Any], tolerance: float
    ) -> None:
        """Texts spoken in one batch sound as they do alone, in order."""
        texts = [text, long_text, text]
        batch = provider.generate_batch(texts, seed=5, **options)
        assert [speech.text for speech in batch] == texts
        for one, speech in zip(texts, batch, strict=True):
            assert_same(provider.generate(one, seed=5, **options).samples, speech.samples, tolerance)

    def test_marks_lie_in_text_and_audio(self, provider: RealProvider, long_text: str, options: dict[str, Any]) -> None:
        """Marks are in order, inside the audio, and span stretches of the caller's text."""
        if "marks" not in provider.spec.capabilities:
            pytest.skip("the provider yields no marks")
        speech = provider.generate(long_text, **options)
        assert speech.marks
        previous = 0.0
        for mark in speech.marks:
            assert previous <= mark.start <= mark.end <= speech.duration + 0.01
            assert 0 <= mark.span[0] < mark.span[1] <= len(long_text)
            assert long_text[slice(*mark.span)].strip()
            previous = mark.start

    def test_joins_do_not_click(self, provider: RealProvider, long_text: str, options: dict[str, Any]) -> None:
        """Beside a pause of digital silence the sound has faded out, and begins to fade in."""
        speech = provider.generate(long_text, seed=7, **options)
        for start, end in _pauses(speech.samples, least=speech.sample_rate // 20):
            assert abs(float(speech.samples[start - 1])) < LOUDEST_EDGE
            assert abs(float(speech.samples[end])) < LOUDEST_EDGE

    def test_speed_changes_the_length(self, provider: RealProvider, long_text: str, options: dict[str, Any]) -> None:
        """Twice the speed takes about half the time."""
        natural = provider.generate(long_text, seed=3, **options)
        fast = provider.generate(long_text, seed=3, speed=2.0, **options)
        assert 0.35 < fast.duration / natural.duration < 0.7

    def test_built_in_voices_speak(self, provider: RealProvider, text: str, options: dict[str, Any]) -> None:
        """Built-in voices have ids of their own, and the first and last of them speak."""
        if "voices" not in provider.spec.capabilities:
            pytest.skip("the provider has no built-in voices")
        ids = [voice.id for voice in provider.voices() if voice.description != "saved voice"]
        assert ids
        assert len(set(ids)) == len(ids)
        for voice in {ids[0], ids[-1]}:
            assert provider.generate(text, voice=voice, **options).duration > 0

    def test_clones(
        self,
        spec: ProviderSpec,
        make: Callable[..., RealProvider],
        text: str,
        options: dict[str, Any],
        reference: tuple[NDArray[np.float32], int],
    ) -> None:
        """A recording is accepted as a voice, as samples; the caller's array is not changed."""
        if "clone" not in spec.capabilities:
            pytest.skip("the provider does not clone")
        before = reference[0].copy()
        words = None if spec.reference_text == "unused" else "These are the words of the recording."
        speech = make(spec).generate(text, voice=reference, reference_text=words, **options)
        assert speech.duration > 0
        assert_same(reference[0], before, 0.0)
