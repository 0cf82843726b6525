"""What is heard, and who hears it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Heard", "HeardWord", "Recognizer"]


@dataclass(frozen=True)
class HeardWord:
    """A word that was heard.

    Attributes:
        text: As the recognizer writes it, with its punctuation.
        start: Seconds.
        end: Seconds, at least ``start``.
    """

    text: str
    start: float
    end: float


@dataclass(frozen=True)
class Heard:
    """What a recognizer has heard.

    Attributes:
        words: In order.
    """

    words: tuple[HeardWord, ...]

    @property
    def text(self) -> str:
        """All words in one string."""
        return " ".join(word.text.strip() for word in self.words)


class Recognizer(Protocol):
    """Someone who writes down what was said. May be called from several threads."""

    name: str

    def hear(
        self, samples: NDArray[np.float32], sample_rate: int, language: str | None, *, careful: bool = False
    ) -> Heard:
        """Write down what was said.

        Args:
            samples: float32 of shape (n,) in [-1, 1].
            sample_rate: Hz.
            language: BCP 47 tag; None: as it sounds.
            careful: It has got caught in a loop before, writing one phrase again and again.
        """
