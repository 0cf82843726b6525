"""Sentences that run away or end too early: they alone are drawn again, in both variants, unless they were heard."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from realtts import RealProvider
from realtts_vieneu import spec
from realtts_vieneu.drawing import Drawn
from realtts_vieneu.line import Line
from realtts_vieneu.testing import write_random_checkpoint
from realtts_vieneu.utterance import Utterance

TEXT = "Xin chào các bạn. Hôm nay trời nắng đẹp!"
APART = {"max_chars": 30}
EXACT = {"dtype": "float32", "quantization": "none"}
WHOLE = {"chunk_frames": 500, "lookback": 1000, "look_ahead": 500}
SECOND = 24_000


@pytest.fixture(scope="module")
def folder_of(tmp_path_factory):
    """Checkpoints that end a sentence at some time: about half of them before their limit, or at once."""
    written = {}

    def folder(bias):
        if bias not in written:
            written[bias] = tmp_path_factory.mktemp("ending")
            write_random_checkpoint(written[bias], eos_bias=bias, cloning=False)
        return written[bias]

    return folder


@pytest.fixture
def make(folder_of, tmp_path):
    """Makes providers that are closed at the end."""
    made = []

    def make(bias=2.5, **settings):
        given = {"device": "cpu", "threads": 1, "strict": True, "data_dir": str(tmp_path), **EXACT, **settings}
        made.append(RealProvider(spec, model=folder_of(bias), **given))
        return made[-1]

    yield make
    for provider in made:
        provider.close()


def again_of(speech):
    """Warnings of what was spoken again."""
    return [warning for warning in speech.warnings if "spoken again" in warning]


def test_the_sentence_alone_is_drawn_again(make):
    """The other is kept as it was; it is told and counted."""
    once = make(retry_runaway=False).generate(TEXT, seed=1, **APART)
    found = make().generate(TEXT, seed=1, **APART)
    assert (once.finish_reason, once.metrics.retries) == ("length", 0)
    assert (found.finish_reason, found.metrics.retries) == ("stop", 1)
    assert found.warnings == ("'xin chào các bạn.' ran into its length cap and was spoken again with another seed",)
    assert np.array_equal(found.samples[-SECOND:], once.samples[-SECOND:])
    assert not np.array_equal(found.samples[:SECOND], once.samples[:SECOND])


@pytest.mark.full  # by default: test_only_a_fault_is_drawn_again
def test_both_variants_draw_it_again(make):
    """And draw the same."""
    found, plain = (make(optimize=optimize).generate(TEXT, seed=1, **APART) for optimize in (True, False))
    assert (plain.metrics.retries, plain.metrics.tokens, plain.warnings) == (1, found.metrics.tokens, found.warnings)
    assert np.abs(found.samples - plain.samples).max() < 1e-4


@pytest.mark.full  # by default: test_only_a_fault_is_drawn_again
def test_twice_is_enough(make):
    """What runs away again is cut; the core does not speak the whole again, and says so."""
    speech = make(bias=0.0).generate("Chào.", seed=5)
    assert (speech.finish_reason, speech.metrics.retries) == ("length", 1)
    assert len(again_of(speech)) == 1
    assert speech.warnings[-1].endswith("ran into its length cap and was cut")


@pytest.mark.full  # by default: test_the_sentence_alone_is_drawn_again
def test_of_a_batch_each_request_has_its_own(make):
    """As alone, whatever is drawn beside it."""
    tts = make()
    texts = [TEXT, "Chúng ta cùng đi dạo nhé? Xin chào các bạn."]
    together = tts.generate_batch(texts, seed=1, **APART)
    for text, speech in zip(texts, together, strict=True):
        alone = tts.generate(text, seed=speech.seed, **APART)
        assert again_of(alone) == again_of(speech)
        assert np.abs(alone.samples - speech.samples).max() < 1e-5
    assert sum(len(again_of(speech)) for speech in together) >= 1


@pytest.mark.full  # by default: test_the_sentence_alone_is_drawn_again
def test_a_stream_draws_again_what_was_not_heard(make):
    """With windows that wait for the end of a sentence it is the whole; what was heard cannot be taken back."""
    tts = make()
    whole = tts.generate(TEXT, seed=1, **APART)
    with tts.stream(TEXT, seed=1, **APART, **WHOLE) as stream:
        chunks = list(stream)
    assert np.abs(np.concatenate([chunk.samples for chunk in chunks]) - whole.samples).max() < 1e-5
    assert sum(chunk.tokens for chunk in chunks) == whole.metrics.tokens
    assert stream.metrics.retries == whole.metrics.retries >= 1
    assert [warning for chunk in chunks for warning in again_of(chunk)] == again_of(whole)
    with tts.stream(TEXT, seed=1, **APART) as stream:
        *_, last = stream
    assert (last.finish_reason, stream.metrics.retries, again_of(last)) == ("length", 0, [])


@pytest.mark.parametrize("told", [{"max_new_tokens": 60}, pytest.param({}, marks=pytest.mark.full)])
def test_what_was_asked_for_is_no_fault(make, told):
    """A limit of the caller's, or no second tries wanted."""
    speech = make(bias=0.0, retry_runaway=bool(told)).generate("Chào.", seed=5, **told)
    assert (speech.finish_reason, speech.metrics.retries, again_of(speech)) == ("length", 0, [])


@pytest.mark.parametrize("optimize", [True, False])
def test_ending_too_early_is_a_fault_too(make, optimize):
    """Of a sentence whose letters nobody speaks in a second; a second time it stands, and that is told."""
    text = "Hôm nay trời nắng đẹp và chúng tôi cùng nhau đi dạo quanh hồ rồi về nhà nấu cơm, xem phim và đọc sách."
    speech = make(bias=30.0, optimize=optimize).generate(f"Xin chào. {text}", seed=5, max_chars=120)
    assert (speech.finish_reason, speech.metrics.retries) == ("stop", 1)
    assert "ended too early (1.00 s) and was spoken again" in again_of(speech)[0]


def drawn(count, codes, **ends):
    """Tokens of which some are codes."""
    return Drawn(0, tuple(range(count)), torch.arange(codes), **{"ended": False, "stopped": False, **ends})


@pytest.mark.parametrize("instead", ["it is", "it ended", "it was heard", "nobody waits", "no second try is wanted"])
def test_only_a_fault_is_drawn_again(instead):
    """Once, with another seed, and nothing of the first try is left; never what nobody waits for any more."""
    utterance = Utterance(ids=(1,), most=60, seed=3, text="Xin chào.", retry=instead != "no second try is wanted")
    line = Line(utterance, lambda: instead == "nobody waits", first=30 if instead == "it was heard" else None)
    for tries in (1, 2):
        line.add(drawn(55, 50))
        assert not line.settle()
        line.add(drawn(5, 5, ended=True, stopped=instead == "it ended"))
        assert (line.frames, line.tokens) == (55, 60)
        assert line.settle() == (instead == "it is" and tries == 1)
        assert line.ended == (instead != "it is" or tries == 2)
        if instead != "it is":
            assert (line.utterance, line.warning) == (utterance, "")
            return
    assert line.utterance.seed != utterance.seed
    assert "ran into its length cap and was spoken again" in line.warning
    assert len(line.taken()) == line.frames


@pytest.mark.parametrize(
    ("lengths", "expected"),
    [
        ((40, 60, 60), {2}),  # the second outgrows the first and is heard before it ends; the third does not
        ((30, 40, 50), set()),
        ((60, 40, 70), {1, 2}),
        ((60, 60, 20), {1, 2}),
        ((20, 60, 70), {0, 1, 2}),
        ((60, 30, 45), {1, 2}),
    ],
)
def test_what_a_stream_draws_again_does_not_depend_on_the_order(lengths, expected):
    """Of sentences that run away, drawn in step or in any other order; none that may be heard already."""
    in_step = [n for at in range(max(lengths)) for n in range(3) if at < lengths[n]]
    orders = [[n for n in order for _ in range(lengths[n])] for order in itertools.permutations(range(3))]
    for order in (in_step, *orders):
        lines = []
        for seed in range(3):
            utterance = Utterance(ids=(1,), most=60, seed=seed, text="Xin chào.", retry=True)
            lines.append(Line(utterance, lambda: False, first=30, before=lines[-1] if lines else None))
        heard = set()
        for n in order:
            lines[n].add(drawn(1, 1, ended=lines[n].tokens + 1 == lengths[n]))
            for number, line in enumerate(lines):
                if line.settle():
                    assert number not in heard
                    line.add(drawn(1, 1, ended=True))
                elif line.settled:
                    heard.add(number)
        assert {number for number, line in enumerate(lines) if line.warning} == expected
        assert not any(line.settle() for line in lines)
        assert all(line.ended for line in lines)
