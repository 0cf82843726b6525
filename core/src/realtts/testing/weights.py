"""What writers of random checkpoints share: ``write_random_checkpoint`` of plugins' testing modules."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from realtts.errors import InvalidOption

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from torch import Tensor, nn

__all__ = ["byte_pairs", "new_checkpoint", "raise_logits", "random_state", "write_json"]


def new_checkpoint(path: Path | str, **chosen: tuple[str, Iterable[str]]) -> Path:
    """Return the folder of a checkpoint that is about to be written, made if it is not there.

    Args:
        path: The folder.
        chosen: What the caller asked for, by the argument's name, and what there is, as in
            ``size=(size, ("tiny", "full"))``.

    Raises:
        InvalidOption: There is no such thing.
    """
    for name, (value, choices) in chosen.items():
        names = list(choices)
        if value not in names:
            raise InvalidOption(
                f"{name} is {value!r}", who="write_random_checkpoint", fix=f"choose from {', '.join(names)}"
            )
    folder = Path(path)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def random_state(
    network: nn.Module, drawn: Callable[[str, tuple[int, ...]], Tensor], computed: tuple[str, ...] = ()
) -> dict[str, Tensor]:
    """Return random tensors for all that a network holds, by name, in its order.

    Args:
        network: Such as was made inside `realtts.accel.upstream.networks.Unfilled`.
        drawn: Makes one of a name and a shape; called for all of floating point, running statistics too.
        computed: Ends of names whose tensors stay as the constructor made them.
    """
    return {
        name: drawn(name, tuple(tensor.shape))
        if tensor.is_floating_point() and not name.endswith(computed)
        else tensor.clone()
        for name, tensor in network.state_dict().items()
    }


def raise_logits(
    state: Mapping[str, Tensor],
    rows: Mapping[int, float],
    *,
    head: str,
    norm: str,
    constant: float,
    rms: float,
    layers: str = "",
) -> None:
    """Raise some logits of a transformer by about so much at every step, without a bias, which its head has not.

    The first channel of the residual stream is a constant, which is for the caller to put into the embeddings: no layer
    touches it, and rows of the head read it.

    Args:
        state: Tensors by name, changed in place.
        rows: Row of the head -> by how much.
        head: Name of the head's weight (vocabulary, hidden).
        norm: Name of the weight of the norm before it.
        constant: The channel's value.
        rms: Root mean square of the stream's other channels behind the last layer.
        layers: What the names of its layers begin with.
    """
    for name, tensor in state.items():
        if name.startswith(layers) and name.endswith(("o_proj.weight", "down_proj.weight")):
            tensor[0] = 0
    state[norm][0] = 1
    unit = (rms**2 + constant**2 / state[head].shape[1]) ** 0.5 / constant
    for row, by in rows.items():
        state[head][row, 0] += by * unit


def byte_pairs(
    letters: Iterable[str], words: Iterable[str], size: int = 0
) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Return the vocabulary and merges of a small tokenizer that has each word as one token.

    Args:
        letters: What words consist of; they come first, sorted.
        words: As the tokenizer writes them.
        size: Least number of tokens; names that no text becomes make up what is missing.
    """
    vocabulary = {letter: number for number, letter in enumerate(sorted(letters))}
    merges: dict[tuple[str, str], None] = {}
    for word in words:
        for end in range(2, len(word) + 1):
            merges[word[: end - 1], word[end - 1]] = None
            vocabulary.setdefault(word[:end], len(vocabulary))
    while len(vocabulary) < size:
        vocabulary[f"[unused{len(vocabulary)}]"] = len(vocabulary)
    return vocabulary, list(merges)


def write_json(path: Path, content: object, indent: int | None = 1) -> None:
    """Write JSON for people to read; with an indent of None for programs alone, such as a large vocabulary."""
    path.write_text(json.dumps(content, indent=indent, ensure_ascii=False), encoding="utf-8")
