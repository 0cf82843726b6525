"""English words as phonemes of misaki's alphabet, by the lexicons and networks of the package hibari-tts.

- `assets`: the files of that package, checked by hash
- `pronunciation`: the words of a sentence as phonemes
"""

from __future__ import annotations

from realtts.kit.english.assets import check_digest, check_package, read_asset
from realtts.kit.english.pronunciation import LETTERS, MARKS, SOUNDS, Pronunciation

__all__ = ["LETTERS", "MARKS", "SOUNDS", "Pronunciation", "check_digest", "check_package", "read_asset"]
