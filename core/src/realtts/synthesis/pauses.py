"""Silence between pieces of a text, at natural rate; models end a piece with little silence of their own."""

from __future__ import annotations

__all__ = ["CLAUSE_PAUSE_S", "PARAGRAPH_PAUSE_S", "SENTENCE_PAUSE_S"]

CLAUSE_PAUSE_S = 0.08
SENTENCE_PAUSE_S = 0.15
PARAGRAPH_PAUSE_S = 0.45
