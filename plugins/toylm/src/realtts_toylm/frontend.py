"""From a request to what the decoder needs: ids, sampling parameters, limits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from realtts.accel.sampling import SamplingParams, SamplingRecipe
from realtts_toylm.options import ToyOptions

if TYPE_CHECKING:
    from realtts.contract.context import Context
    from realtts.contract.types import Request

__all__ = ["MOST_TOKENS", "POSITIONS", "RECIPE", "START", "STOP", "TEXT_VOCABULARY", "VOCABULARY", "Ask", "prepare"]

TEXT_VOCABULARY = 256
"""Bytes of UTF-8: whatever looks like a special token is text."""

STOP = 256
START = 257
VOCABULARY = 258
"""256 sounds, the end of speech, and its beginning, which stands behind the text and is never drawn."""

POSITIONS = 2048
"""Positions of the model: the longest prompt and the most tokens fit."""

MOST_TOKENS = POSITIONS - (4 * 200 + 1)
"""What is left beside a prompt of 200 characters of four bytes, and `START`."""

RECIPE = SamplingRecipe(
    vocabulary=VOCABULARY, order=("suppress", "temperature", "top_k"), stop_tokens=(STOP,), suppressed=(START,)
)
"""What the model fixes about sampling. The plain variant does the same in its own words."""


@dataclass(frozen=True)
class Ask:
    """A request in the model's terms.

    Attributes:
        ids: Text tokens.
        params: How speech tokens are drawn; ``min_new_tokens`` of them come before the end may.
        most: The most speech tokens.
        seed: Of the noise.
    """

    ids: tuple[int, ...]
    params: SamplingParams
    most: int
    seed: int


def prepare(context: Context, request: Request) -> Ask:
    """Read a request.

    A text of n characters gets n/2 tokens at least, and a cap in proportion, so that a model which never ends is
    stopped. A benchmark forces the number of tokens: then both limits are that number.
    """
    options = ToyOptions.of(request)
    forced = context.forced_tokens(request.text)
    least, most = 1 + len(request.text) // 2, 50 + 4 * len(request.text)
    if options.max_new_tokens is not None:
        most = min(most, options.max_new_tokens)
    if forced is not None:
        least = most = forced
    return Ask(
        ids=tuple(request.text.encode()),
        params=SamplingParams(temperature=options.temperature, top_k=options.top_k, min_new_tokens=least),
        most=min(most, MOST_TOKENS),
        seed=request.seed,
    )
