"""For tests and benchmarks: voices with random weights in Piper's own files, in the form of a real export."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from realtts.testing.onnx_writer import GraphWriter, check_size

if TYPE_CHECKING:
    import os

    from realtts.contract.spec import Checkpoint
    from realtts_piper.phrases import Phrases

__all__ = ["lost_characters", "write_random_checkpoint"]

_SIZES = {"tiny": (8, 256), "full": (192, 256)}
"""Channels and samples per frame."""

_SYMBOLS = "_^$ !'(),-.:;?abcdefhijklmnopqrstuvwxyzæçðøħŋœɐɑɒɔɕəɚɛɜɡɪɫɲɹɾʁʃʊʌʒʔʲˈˌːβθχᵻ"
_COMBINING = "\u0327\u0303\u032a\u032f\u0329"


def write_random_checkpoint(
    path: str | os.PathLike[str],
    size: str = "tiny",
    seed: int = 0,
    *,
    name: str = "en_US-random-medium",
    speakers: int = 1,
    **configuration: Any,
) -> Path:
    """Write a voice with random weights: a graph that draws noise twice, as VITS does, and its configuration.

    Args:
        path: The folder.
        size: ``"tiny"`` or ``"full"``.
        seed: Of the weights.
        name: Of the voice.
        speakers: How many it has; with more than one the graph takes their number.
        **configuration: Entries of the configuration that replace the usual ones.

    Returns:
        The folder.

    Raises:
        InvalidOption: No such size.
        MissingExtra: The package onnx is not installed.
    """
    check_size(size, _SIZES, "realtts_piper.testing")
    folder = Path(path)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.onnx").write_bytes(_graph(*_SIZES[size], seed, speakers))
    (folder / f"{name}.onnx.json").write_text(json.dumps({**_configuration(speakers, size), **configuration}), "utf-8")
    (folder / "MODEL_CARD").write_text("# Model card\n\n## Dataset\n\n* License: none, random weights\n", "utf-8")
    return folder


def lost_characters(text: str, phrases: Phrases, checkpoint: Checkpoint, *, normalize: str = "auto") -> list[str]:
    """Return the characters of a text that are neither in a word with a sound, nor silent, nor named as unread.

    Args:
        text: As a caller gives it; it passes the core's front end.
        phrases: Of the voice.
        checkpoint: The voice, whose files are at hand.
        normalize: ``"auto"`` or ``"off"``, as of a call.

    Raises:
        UnspeakableText: Nothing of it can be said.
    """
    from realtts.registry.languages import with_languages
    from realtts.testing.texts import account_of
    from realtts_piper import spec

    account = account_of(replace(with_languages(spec, checkpoint), normalize=normalize), checkpoint, text, None)
    if account is None:
        return list(text)
    lost = [text[at] for at in account.lost]
    for given in account.given:
        spoken: set[int] = set()
        for phrase in phrases.of(given):
            spans = [word.span for word in phrase.words] + [each.span for each in phrase.unread]
            spoken.update(at for span in spans for at in range(*span))
        lost += [char for at, char in enumerate(given) if char.isalnum() and at not in spoken]
    return lost


def _configuration(speakers: int, size: str) -> dict[str, Any]:
    names = {f"speaker_{number}": number for number in range(speakers)} if speakers > 1 else {}
    return {
        "audio": {"sample_rate": 22050, "quality": "medium"},
        "espeak": {"voice": "en-us"},
        "language": {"code": "en_US"},
        "inference": {"noise_scale": 0.667, "length_scale": 1, "noise_w": 0.8},
        "phoneme_type": "espeak",
        "num_symbols": 256,
        "num_speakers": speakers,
        "speaker_id_map": names,
        "phoneme_id_map": {symbol: [number] for number, symbol in enumerate(_SYMBOLS + _COMBINING)},
        "hop_length": _SIZES[size][1],
        "dataset": "random",
    }


def _graph(channels: int, hop: int, seed: int, speakers: int) -> bytes:
    made = GraphWriter(seed, "realtts-piper")
    last = made.numbers(2)
    noise, length, width = (made.add("Gather", "scales", made.weight(np.int64(number)), axis=0) for number in (0, 1, 2))
    text = made.add("Transpose", made.add("Gather", made.normal(256, channels), "input"), perm=[0, 2, 1])
    if speakers > 1:
        who = made.add("Gather", made.normal(speakers, channels), "sid")
        who = made.add("Unsqueeze", who, last, out="g")
        text = made.add("Add", text, who)
    frames = _lengths(made, text, channels, length, width)
    mean = made.spread(text, frames)
    drawn = made.add("Mul", made.add("RandomNormalLike", mean, dtype=1), noise)
    latent = made.add("Tanh", made.add("Add", mean, drawn))
    _vocoder(made, latent, channels, hop, speakers)
    inputs: list[tuple[str, str, list[object]]] = [
        ("input", "INT64", [1, "n"]),
        ("input_lengths", "INT64", [1]),
        ("scales", "FLOAT", [3]),
    ]
    inputs += [("sid", "INT64", [1])] if speakers > 1 else []
    return made.write("voice", inputs, ("output", "FLOAT", [1, 1, "samples"]))


def _lengths(made: GraphWriter, text: str, channels: int, length: str, width: str) -> str:
    """Return the frames of each symbol, (1, 1, n): some 5, by its weights and noise."""
    shape = made.add("Shape", "input")
    shape = made.add("Concat", made.numbers(1), made.numbers(2), _last(made, shape), axis=0)
    drawn = made.add("RandomNormalLike", made.add("ConstantOfShape", shape), dtype=1)
    drawn = made.add("ReduceMean", made.add("Mul", drawn, width), axes=[1], keepdims=1)
    own = made.add("Conv", text, made.normal(1, channels, 1, scale=0.2 / channels**0.5))
    raised = made.add("Exp", made.add("Mul", made.add("Add", own, drawn), made.weight(np.float32(0.3))))
    frames = made.add("Mul", made.add("Mul", raised, made.weight(np.float32(5))), length)
    return made.add("Ceil", frames)


def _last(made: GraphWriter, shape: str) -> str:
    return made.add("Slice", shape, made.numbers(-1), made.numbers(9))


def _vocoder(made: GraphWriter, latent: str, channels: int, hop: int, speakers: int) -> None:
    start = made.add(
        "Conv", latent, made.normal(channels, channels, 7, name="dec.conv_pre.weight", scale=0.3), pads=[3, 3]
    )
    if speakers > 1:
        start = made.add("Add", start, made.add("Conv", "g", made.normal(channels, channels, 1, scale=0.3)))
    sound = made.sound(made.add("LeakyRelu", start, alpha=0.1), channels, hop)
    made.add("Tanh", sound, out="output")
