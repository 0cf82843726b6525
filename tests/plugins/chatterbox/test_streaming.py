"""Audio while tokens still come: the whole's length, no seams, a mel near the whole's, samples equal to the whole's."""

from __future__ import annotations

import pytest
import torch

from realtts.contract.stages import Cancelled
from realtts_chatterbox.conditionals import Conditionals
from realtts_chatterbox.flow import Flow
from realtts_chatterbox.noise import Noise
from realtts_chatterbox.streaming import MelStream, SampleStream, SpeechStream
from realtts_chatterbox.vocoder import Vocoder, faded

CPU = torch.device("cpu")
TOKENS = 120
STEPS = 3


@pytest.fixture(scope="module")
def flow(networks_of):
    """The flow of a tiny checkpoint."""
    return Flow.from_state_dict(networks_of("english").s3gen.flow.state_dict(), device=CPU)


@pytest.fixture(scope="module")
def vocoder(networks_of):
    """The vocoder of a tiny checkpoint."""
    return Vocoder.from_state_dict(networks_of("english").s3gen.mel2wav.state_dict(), device=CPU)


@pytest.fixture(scope="module")
def voice():
    """With a prompt of 30 tokens."""
    drawn = torch.Generator().manual_seed(1)
    tokens = torch.randint(0, 6561, (1, 30), generator=drawn)
    mel = torch.randn(1, 60, 80, generator=drawn)
    return Conditionals(torch.zeros(1, 256), None, tokens, mel, torch.randn(1, 192, generator=drawn))


@pytest.fixture(scope="module")
def tokens():
    """Of one request."""
    return torch.randint(0, 6561, (TOKENS,), generator=torch.Generator().manual_seed(2)).tolist()


def stream_of(flow, vocoder, voice, noise, *, cancelled=lambda: False, **options):
    """Tokens to samples."""
    mel = MelStream(flow, voice, noise, cancelled=cancelled, **options)
    return SpeechStream(mel, SampleStream(vocoder, noise), cancelled)


def pushed(stream, items, at_once=1):
    """What comes out of a stream for each push."""
    parts = [items[begin : begin + at_once] for begin in range(0, len(items), at_once)]
    return [stream.push(part, final=part is parts[-1]) for part in parts]


def whole_mel(flow, tokens, voice, noise):
    """The same request at once."""
    return flow.mel([torch.tensor(tokens)], [voice], [noise], steps=STEPS)[0]


@pytest.mark.parametrize(
    ("frames", "at_once"),
    [
        *((frames, at_once) for frames in (3, 40) for at_once in (1, 7, 60, 1000)),
        *((400, at_once) for at_once in (60, 1000)),
        *(pytest.param(400, at_once, marks=pytest.mark.slow) for at_once in (1, 7)),  # by default of fewer frames
    ],
)
def test_samples_equal_the_wholes(vocoder, frames, at_once):
    """However a mel is cut, its samples are the whole's: phase, noise and context are carried."""
    mel, noise = torch.randn(80, frames, generator=torch.Generator().manual_seed(3)), Noise(1)
    stream = SampleStream(vocoder, noise)
    parts = mel.split(at_once, 1)
    found = [stream.push(part, final=part is parts[-1]) for part in parts]
    torch.testing.assert_close(torch.cat(found), faded(vocoder.samples(mel, noise)), rtol=0, atol=1e-4)


def test_length_is_the_wholes(flow, vocoder, voice, tokens):
    """960 samples a token, in growing pieces, the first one early."""
    lengths = [len(x) for x in pushed(stream_of(flow, vocoder, voice, Noise(4), steps=STEPS), tokens)]
    assert sum(lengths) == 960 * TOKENS
    assert sum(length > 0 for length in lengths) == 3
    assert next(n for n, length in enumerate(lengths) if length) == 22  # 20 tokens and 3 of look-ahead


def test_short_request_is_the_whole(flow, vocoder, voice, tokens):
    """One that ends within the first piece is computed as without streaming."""
    noise = Noise(4)
    (*nothing, samples) = pushed(stream_of(flow, vocoder, voice, noise, steps=STEPS), tokens[:15])
    assert not sum(map(len, nothing))
    mel = whole_mel(flow, tokens[:15], voice, noise)
    torch.testing.assert_close(samples, faded(vocoder.samples(mel, noise)), rtol=0, atol=1e-4)


def test_end_without_tokens(flow, vocoder, voice, tokens):
    """That the last token was the last may be known later; and a request may be empty."""
    stream = stream_of(flow, vocoder, voice, Noise(4), steps=STEPS)
    early = stream.push(tokens, final=False)
    assert len(early) + len(stream.push([], final=True)) == 960 * TOKENS
    assert not len(stream_of(flow, vocoder, voice, Noise(4)).push([], final=True))


def test_size_of_pushes_changes_nothing(flow, voice, tokens):
    """Pieces depend on how many tokens there are, not on how they come."""
    mels = [
        torch.cat(pushed(MelStream(flow, voice, Noise(4), steps=STEPS, growth=1), tokens, at_once), 1)
        for at_once in (1, 9)
    ]
    assert torch.equal(*mels)


@pytest.mark.parametrize(
    ("left_tokens", "highest"), [(0, 0.5), (10, 0.2), pytest.param(40, 0.15, marks=pytest.mark.full)]
)
def test_mel_is_near_the_wholes(flow, voice, tokens, left_tokens, highest):
    """The flow sees all of a request at once, so pieces differ; tokens before them bring them nearer."""
    whole = whole_mel(flow, tokens, voice, Noise(4))
    stream = MelStream(flow, voice, Noise(4), steps=STEPS, left_tokens=left_tokens)
    mel = torch.cat(pushed(stream, tokens), 1)
    assert 0 < float((mel - whole).norm() / whole.norm()) < highest


def test_no_click_at_seams(flow, vocoder, voice, tokens):
    """Between two pieces the wave does not jump further than within them."""
    pieces = [x for x in pushed(stream_of(flow, vocoder, voice, Noise(4), steps=STEPS), tokens) if len(x)]
    wave = torch.cat(pieces)
    jumps = wave.diff().abs()
    seam = 0
    for piece in pieces[:-1]:
        seam += len(piece)
        near = torch.cat([jumps[seam - 960 : seam - 1], jumps[seam : seam + 960]])
        assert float(jumps[seam - 1]) <= float(near.max())


def test_work_is_bounded(flow, vocoder, voice, monkeypatch):
    """Frames through the flow and the vocoder, for 250 tokens behind a prompt of 200."""
    seen = {"flow": 0, "vocoder": 0}

    def solving(asked, **_):
        (piece,) = asked
        yield
        seen["flow"] += 2 * (200 + len(piece.tokens))
        return [torch.zeros(80, 2 * (len(piece.tokens) - (0 if piece.final else 3)))]

    def decoded(mel, source):
        assert len(source) == 480 * mel.shape[1]
        seen["vocoder"] += mel.shape[1]
        return source

    monkeypatch.setattr(flow, "solving", solving)
    monkeypatch.setattr(vocoder, "decoded", decoded)
    samples = pushed(stream_of(flow, vocoder, voice, Noise(4)), [1] * 250)
    assert sum(map(len, samples)) == 960 * 250
    assert seen["flow"] <= 2 * 2 * (200 + 250)
    assert seen["vocoder"] <= 1.5 * 500


def test_cancelled(flow, vocoder, voice, tokens):
    """The next step is not taken."""
    stream = stream_of(flow, vocoder, voice, Noise(4), cancelled=lambda: True)
    with pytest.raises(Cancelled):
        stream.push(tokens, final=False)
