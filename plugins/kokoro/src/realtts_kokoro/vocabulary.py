"""The symbols of the model, as its ``config.json`` has them: 114 of 178 numbers."""

from __future__ import annotations

__all__ = ["CLAUSE_END", "MARKS", "NUMBERS", "PAD", "is_sound"]

PAD = 0
"""Stands at both ends of what the graph reads."""

_RUNS = (
    (1, ";:,.!?"), (9, '—…"()“” \u0303ʣʥʦʨᵝꭧ'), (24, "A"), (25, "I"), (31, "O"), (33, "Q"), (35, "ST"), (39, "W"),
    (41, "Yᵊabcdef"), (50, "hijklmnopqrstuvwxyzɑɐɒæ"), (75, "βɔɕç"), (80, "ɖðʤə"), (85, "ɚɛɜ"), (90, "ɟ"), (92, "ɡ"),
    (99, "ɥ"), (101, "ɨɪʝ"), (110, "ɯɰŋɳɲɴø"), (118, "ɸθœ"), (123, "ɹ"), (125, "ɾɻ"), (128, "ʁɽʂʃʈʧ"), (135, "ʊʋ"),
    (138, "ʌɣɤ"), (142, "χʎ"), (147, "ʒʔ"), (156, "ˈˌː"), (162, "ʰ"), (164, "ʲ"), (169, "↓"), (171, "→↗↘"),
    (177, "ᵻ"),
)  # fmt: skip

NUMBERS = {symbol: first + at for first, symbols in _RUNS for at, symbol in enumerate(symbols)}
"""Symbol -> number."""

MARKS = frozenset(';:,.!?—…"()“”')
"""Punctuation that the model has learnt."""

CLAUSE_END = frozenset(",;:—….!?")

_SILENT = MARKS | frozenset(" \u0303ᵝˈˌːʰʲ↓→↗↘")


def is_sound(symbol: str) -> bool:
    """Tell whether a symbol is heard by itself: no punctuation, stress, length or tone."""
    return symbol in NUMBERS and symbol not in _SILENT
