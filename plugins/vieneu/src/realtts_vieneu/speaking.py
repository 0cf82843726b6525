"""From requests to chunks: wholes, whose sentences are drawn together, and streams, whose sentences come in order.

Each sentence has a seed of its own and no row of a batch depends on its neighbours, so that a sentence is drawn alike
wherever it stands. How a stream's sound differs from the whole's is said in `realtts_vieneu.windows`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from realtts.audio import Joiner
from realtts.contract.types import Chunk
from realtts_vieneu.constants import RATE
from realtts_vieneu.engine import TOGETHER
from realtts_vieneu.line import Line
from realtts_vieneu.model import asked, engine_for, head_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from realtts.contract.context import Context
    from realtts.contract.types import FinishReason, Request
    from realtts_vieneu.engine import Engine
    from realtts_vieneu.frontend import Ask
    from realtts_vieneu.head import HeadKind
    from realtts_vieneu.model import OptimizedModel
    from realtts_vieneu.utterance import Utterance
    from realtts_vieneu.windows import Windows

__all__ = ["live", "whole"]

_SLOTS = 16_384
"""Most slots of the cache of sentences that are drawn together: eight of the longest, more of shorter ones."""


def whole(context: Context, model: OptimizedModel, requests: Sequence[Request]) -> Iterator[tuple[int, Chunk]]:
    """Speak requests as wholes; those that need the same head and device, as a rule all of them, are drawn together."""
    pairs = [asked(context, model, request) for request in requests]
    groups: dict[tuple[HeadKind, str | None], list[int]] = {}
    for row, (ask, _) in enumerate(pairs):
        groups.setdefault((head_of(context, ask.speech_only), ask.codec_device), []).append(row)
    for rows in groups.values():
        asks, utterances = zip(*(pairs[row] for row in rows), strict=True)
        engine = engine_for(context, model, asks[0])
        for place, chunk in _together(context, engine, [requests[row].cancelled for row in rows], asks, utterances):
            yield rows[place], chunk


def live(context: Context, model: OptimizedModel, request: Request) -> Iterator[Chunk]:
    """Speak one request as a stream: its first sentence alone, to be heard soon, then ever more of them together."""
    ask, utterances = asked(context, model, request)
    lines = [Line(utterance, request.cancelled) for utterance in utterances]
    reported = 0
    for samples, last in _played(context, engine_for(context, model, ask), ask, lines):
        if request.cancelled():
            return
        drawn = sum(line.tokens for line in lines if line.heard or last)  # of the others some may be drawn again
        tokens, reported = drawn - reported, drawn
        yield _closing(ask, samples, tokens, lines) if last else Chunk(samples, RATE, tokens=tokens)


def _together(
    context: Context,
    engine: Engine,
    cancelled: Sequence[Callable[[], bool]],
    asks: Sequence[Ask],
    utterances: Sequence[Sequence[Utterance]],
) -> Iterator[tuple[int, Chunk]]:
    """Speak requests as wholes; yields each when its last sentence has ended, and a cancelled one not at all.

    Args:
        context: Of the stage.
        engine: Speaks.
        cancelled: For each request, read at every token.
        asks: The requests.
        utterances: Their sentences.
    """
    lines = [[Line(u, stop) for u in sentences] for sentences, stop in zip(utterances, cancelled, strict=True)]
    waiting = set(range(len(lines)))
    for group in _alike([line for sentences in lines for line in sentences]):
        if going := [line for line in group if not line.cancelled()]:
            for _ in engine.draw(context, going):
                pass
        for row in sorted(waiting):
            if not all(line.ended for line in lines[row]):
                continue
            waiting.discard(row)
            samples = _joined(context, engine, asks[row], lines[row])
            if not cancelled[row]():
                tokens = sum(line.tokens for line in lines[row])
                yield row, _closing(asks[row], samples, tokens, lines[row])


def _played(
    context: Context, engine: Engine, ask: Ask, lines: Sequence[Line]
) -> Iterator[tuple[NDArray[np.float32], bool]]:
    """Yield samples in the order in which they are heard, and whether they are the last."""
    at, joiner = 0, Joiner(RATE, alone=len(lines) == 1)
    pause = np.zeros(0, np.float32)
    for group in _growing(lines):
        windows = _windows(engine, ask)
        for _ in engine.draw(context, group):
            while at < len(lines) and lines[at] in group:
                line = lines[at]
                if line.fault:  # it is drawn again, and heard from its beginning
                    windows = _windows(engine, ask)
                    break
                heard = engine.heard(context, windows, line.taken(), final=line.ended).numpy()
                line.heard = line.heard or len(heard) > 0
                samples = joiner.push(heard)
                last = line.ended and at + 1 == len(lines)
                if line.ended:
                    # The pause waits for what follows, so that whoever stops listening here does not wait for it.
                    rest = joiner.finish() if last else joiner.end_piece()
                    samples = np.concatenate([samples, rest])
                if len(samples) or last:
                    yield np.concatenate([pause, samples]), last
                    pause = pause[:0]
                if not line.ended:
                    break
                at, windows = at + 1, _windows(engine, ask)
                pause = np.concatenate([pause, np.zeros(round(ask.silence * RATE), np.float32)])


def _windows(engine: Engine, ask: Ask) -> Windows:
    return engine.windows(new=ask.chunk_frames, back=ask.lookback, ahead=ask.look_ahead)


def _alike(lines: Sequence[Line]) -> Iterator[list[Line]]:
    """Group sentences by their limits, for the rows of a group wait for its longest."""
    order = sorted(lines, key=lambda line: -line.utterance.most)
    while order:
        count = _fitting(order, TOGETHER)
        yield order[:count]
        order = order[count:]


def _growing(lines: Sequence[Line]) -> Iterator[Sequence[Line]]:
    """Group sentences in order: one, then two, four, and so on."""
    begin, size = 0, 1
    while begin < len(lines):
        count = _fitting(lines[begin:], size)
        yield lines[begin : begin + count]
        begin, size = begin + count, min(2 * size, TOGETHER)


def _fitting(lines: Sequence[Line], most: int) -> int:
    """Return how many first lines fit the cache, whose rows are as long as the longest prompt and limit need."""
    prompt = limit = 0
    for count, line in enumerate(lines[:most]):
        prompt, limit = max(prompt, len(line.utterance.ids)), max(limit, line.utterance.most)
        if count and (count + 1) * (prompt + limit) > _SLOTS:
            return count
    return min(most, len(lines))


def _joined(context: Context, engine: Engine, ask: Ask, lines: Sequence[Line]) -> NDArray[np.float32]:
    """Decode sentences, and join them with pauses between them."""
    codes = [line.taken() for line in lines]
    sounds = [samples.numpy() for samples in engine.sounds(context, codes, lines[0].cancelled)]
    if not sounds:
        return np.zeros(0, np.float32)
    joiner = Joiner(RATE, alone=len(sounds) == 1)
    parts = [joiner.push(sounds[0])]
    for sound in sounds[1:]:
        parts += [joiner.end_piece(ask.silence), joiner.push(sound)]
    return np.concatenate([*parts, joiner.finish()])


def _closing(ask: Ask, samples: NDArray[np.float32], tokens: int, lines: Sequence[Line]) -> Chunk:
    """Return a request's last chunk, or its only one, with the warnings."""
    retried = tuple(line.warning for line in lines if line.warning)
    return Chunk(
        samples, RATE, tokens=tokens, finish_reason=_reason(lines), warnings=(*retried, *ask.warnings),
        retries=len(retried), unread=ask.unread,
    )  # fmt: skip


def _reason(lines: Sequence[Line]) -> FinishReason:
    return "stop" if all(line.stopped for line in lines) else "length"
