"""Streams: windows put together, without clicks, as long as the whole and nearly the same."""

from __future__ import annotations

import pytest
import torch

from realtts_vieneu.codec import CodecDecoder
from realtts_vieneu.options import VieNeuOptions
from realtts_vieneu.windows import Windows

RATE = 480
NEW, BACK, AHEAD = 25, 100, 10
"""Upstream's."""


class Told:
    """A decoder whose samples say which window and which code they are of."""

    def __init__(self, step=0.0):
        self.windows = []
        self._step = step

    def samples(self, codes):
        """Each frame as loud as its code, and each window a little louder than the one before it."""
        self.windows.append(codes.tolist())
        return (codes.float() + self._step * (len(self.windows) - 1)).repeat_interleave(RATE)


@pytest.fixture(scope="module")
def ours(codec_parts):
    """Our decoder in float32."""
    return CodecDecoder.from_state_dict(*codec_parts)


def codes_of(frames, seed=0):
    """Codes as good as any others."""
    return torch.randint(0, 65536, (frames,), generator=torch.Generator().manual_seed(seed))


def windows_of(new=NEW, back=BACK, ahead=AHEAD):
    """Of upstream's sizes unless others are given."""
    return Windows(RATE, new=new, back=back, ahead=ahead)


def decoded(windows, decoder, codes, *, final=False):
    """The samples that codes settle, perhaps none."""
    windows.add(codes)
    found = [torch.zeros(0)]
    while (window := windows.window(final=final)) is not None:
        found.append(windows.joined(decoder.samples(window)))
    return torch.cat(found)


def streamed(windows, decoder, codes, sizes):
    """All samples of codes that come in pieces of those sizes."""
    heard = [decoded(windows, decoder, piece) for piece in codes.split(sizes)]
    return torch.cat([*heard, decoded(windows, decoder, codes[:0], final=True)])


@pytest.mark.parametrize("piece", [1, 7, 25, 300])
@pytest.mark.parametrize("frames", [0, 1, 24, 25, 34, 35, 36, 60, 217])
def test_every_frame_is_heard_once(frames, piece) -> None:
    """However the codes come."""
    codes = torch.arange(frames)
    heard = streamed(windows_of(), Told(), codes, piece)
    assert torch.equal(heard, codes.float().repeat_interleave(RATE))


def test_windows_are_upstreams() -> None:
    """25 new codes each, 100 before them and 10 behind them, as soon as these are there."""
    decoder = Told()
    windows = windows_of()
    for code in range(200):
        decoded(windows, decoder, torch.tensor([code]))
        begun = max(0, (code + 1 - AHEAD) // NEW)
        assert len(decoder.windows) == begun
    decoded(windows, decoder, torch.zeros(0, dtype=torch.int64), final=True)
    assert decoder.windows[0] == list(range(35))
    assert decoder.windows[5] == list(range(25, 160))
    assert decoder.windows[-1] == list(range(175 - BACK, 200))
    assert len(decoder.windows) == 8
    defaults = VieNeuOptions()
    assert (defaults.chunk_frames, defaults.lookback, defaults.look_ahead) == (NEW, BACK, AHEAD)


def test_pieces_of_any_size_give_the_same(ours) -> None:
    """Windows lie where they lie, not where codes happen to come."""
    codes = codes_of(150)
    one = streamed(windows_of(), ours, codes, 1)
    assert torch.equal(streamed(windows_of(), ours, codes, 40), one)
    assert torch.equal(streamed(windows_of(), ours, codes, 150), one)


def test_short_speech_is_decoded_whole(ours) -> None:
    """What fits into one window equals the whole."""
    codes = codes_of(NEW + AHEAD)
    assert torch.equal(decoded(windows_of(), ours, codes, final=True), ours.samples(codes))


def test_windows_do_not_click() -> None:
    """Where one ends louder than the next begins, samples go from one to the other in small steps."""
    step = 0.5
    heard = streamed(windows_of(), Told(step), torch.zeros(160, dtype=torch.int64), 160)
    assert heard[-1] > 4 * step
    assert heard.diff().abs().max() <= 1.1 * step / RATE
    # with nothing decoded ahead there is nothing to fade
    hard = streamed(windows_of(ahead=0), Told(step), torch.zeros(160, dtype=torch.int64), 160)
    assert hard.diff().abs().max() == step


def test_streams_may_be_decoded_together(ours) -> None:
    """By whoever takes their windows and gives back the samples."""
    rows = [codes_of(90, 1), codes_of(70, 2)]
    alone = [streamed(windows_of(), ours, codes, 90) for codes in rows]
    streams = [windows_of() for _ in rows]
    for stream, codes in zip(streams, rows, strict=True):
        stream.add(codes)
    heard = [[], []]
    while due := {row: codes for row, s in enumerate(streams) if (codes := s.window(final=True)) is not None}:
        for row, samples in zip(due, ours.batch(list(due.values())), strict=True):
            heard[row].append(streams[row].joined(samples))
    for row in range(2):
        assert torch.equal(torch.cat(heard[row]), alone[row])


def test_a_stream_is_near_the_whole(ours) -> None:
    """The decoder sees both ways, so that they differ, but by less than the sound itself; wider windows differ less."""
    codes = codes_of(300)
    whole = ours.samples(codes)
    errors = []
    for back, ahead in ((20, 2), (BACK, AHEAD), (200, 60)):
        error = streamed(windows_of(back=back, ahead=ahead), ours, codes, 300) - whole
        errors.append(float(error.square().mean() / whole.square().mean()))
    assert errors[0] > errors[1] > errors[2]
    assert errors[1] < 0.5
