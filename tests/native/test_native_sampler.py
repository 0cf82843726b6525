"""Tokens from logits, against the rules of realtts.accel.sampling written down in numpy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

native = pytest.importorskip("realtts_native")
if native.usable():
    pytest.skip(str(native.usable()), allow_module_level=True)

from realtts_native import Sampler, SamplingValues  # noqa: E402

ORDER = ("suppress", "repetition_penalty", "temperature", "top_k", "top_p", "min_p")
IDLE = {"temperature": 1.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0, "repetition_penalty": 1.0, "guidance": 0.0}
F32 = np.float32


def values(n: int, vocabulary: int, stops: tuple[int, ...] = (), **params: Any) -> dict[str, Any]:
    """Make the tensors of parameters that are the same for all rows."""
    params = {**IDLE, "min_new_tokens": 0, "greedy": False, **params}
    params["top_p"] = 1 - params["top_p"]
    types = {"top_k": np.int64, "min_new_tokens": np.int64, "greedy": bool}
    made = {name: np.full((n, 1), value, types.get(name, F32)) for name, value in params.items()}
    made["stops"] = np.zeros((n, vocabulary), bool)
    made["stops"][:, list(stops)] = True
    return made


def drawn(logits: Any, noise: Any, made: dict[str, Any], order: tuple[str, ...] = ORDER, **options: Any) -> Any:
    """Draw natively."""
    n = len(made["greedy"])
    sampler_options = {
        name: options.pop(name) for name in ("conditional", "suppressed", "noise_ids") if name in options
    }
    if "noise_ids" in sampler_options:
        sampler_options["noise_width"] = noise.shape[1]
    out = np.full(n, -1)
    step = options.pop("step", np.zeros(n, np.int64))
    sampler = Sampler(logits.shape[1], order, **sampler_options)
    sampler.run(logits, SamplingValues(**made), step, out, noise=noise, **options)
    return out


def softmax(scores: Any) -> Any:
    """Compute a softmax in float32."""
    e = np.exp(scores - scores.max())
    return e / e.sum(dtype=F32)


def reference(scores: Any, noise: Any, made: dict[str, Any], row: int, seen: Any = None) -> int:
    """Draw one row by the rules, in the usual order."""
    p = {name: array[row, 0] if name != "stops" else array[row] for name, array in made.items()}
    scores = scores.copy()
    if seen is not None:
        scores = np.where(
            seen, np.where(scores < 0, scores * p["repetition_penalty"], scores / p["repetition_penalty"]), scores
        )
    scores = (scores / p["temperature"]).astype(F32)
    if p["top_k"] > 0:
        scores[scores < np.sort(scores)[::-1][min(p["top_k"], len(scores)) - 1]] = -np.inf
    if p["top_p"] > 0:
        order = np.argsort(scores, kind="stable")
        removed = np.cumsum(softmax(scores[order]).astype(np.float64)).astype(F32) <= p["top_p"]
        removed[-1] = False
        scores[order[removed]] = -np.inf
    if p["min_p"] > 0:
        shares = softmax(scores)
        scores[shares < p["min_p"] * shares.max()] = -np.inf
    if p["greedy"]:
        return int(scores.argmax())
    return int((softmax(scores) / noise).argmax())


PARAMS: list[dict[str, Any]] = [
    {},
    {"temperature": 0.8},
    {"temperature": 1e-4},
    {"top_k": 1},
    {"top_k": 5, "temperature": 0.9},
    {"top_k": 10**6},
    {"top_p": 0.7},
    {"top_p": 1e-6},
    {"min_p": 0.05},
    {"min_p": 1.0},
    {"top_k": 20, "top_p": 0.9, "min_p": 0.02, "temperature": 1.3, "repetition_penalty": 1.2},
    {"repetition_penalty": 2.0},
    {"greedy": True, "repetition_penalty": 1.5},
]


@pytest.mark.parametrize("params", PARAMS, ids=str)
@pytest.mark.parametrize("vocabulary", [3, 61, 2048])
def test_processors(params: dict[str, Any], vocabulary: int) -> None:
    """Every processor alone and all of them, for ordinary logits and for those full of ties."""
    rng = np.random.default_rng(vocabulary)
    n = 12
    made = values(n, vocabulary, **params)
    seen = rng.random((n, vocabulary + 1)) < 0.3
    for logits in (
        rng.standard_normal((n, vocabulary)).astype(F32) * 3,
        rng.integers(0, 4, (n, vocabulary)).astype(F32),
    ):
        noise = rng.exponential(size=(n, vocabulary)).astype(F32)
        wanted = [reference(logits[row], noise[row], made, row, seen[row, :-1]) for row in range(n)]
        assert drawn(logits, noise, made, seen=seen).tolist() == wanted


def test_ties_of_top_p() -> None:
    """What meets the bound goes, and among equals those that come first."""
    made = values(1, 4, top_p=0.5)
    for favoured in range(4):
        noise = np.full((1, 4), 1, F32)
        noise[0, favoured] = 0.1
        assert drawn(np.zeros((1, 4), F32), noise, made)[0] == max(favoured, 2)


def test_guidance() -> None:
    """Of pairs of rows, from the conditional or the unconditional logits."""
    rng = np.random.default_rng(5)
    logits, noise = rng.standard_normal((8, 30)).astype(F32), rng.exponential(size=(4, 30)).astype(F32)
    made = values(4, 30, guidance=0.7, temperature=0.8)
    for conditional in (True, False):
        base = logits[:4] if conditional else logits[4:]
        scores = base + F32(0.7) * (logits[:4] - logits[4:])
        wanted = [reference(scores[row], noise[row], made, row) for row in range(4)]
        order = ("guidance", "temperature", "top_p")
        assert drawn(logits, noise, made, order, conditional=conditional).tolist() == wanted


def test_stops_and_suppressed_tokens() -> None:
    """Stop tokens wait for the least number of tokens; suppressed ones never come."""
    logits, noise = np.zeros((3, 6), F32), np.ones((3, 6), F32)
    logits[:, 2], logits[:, 4] = 9, 8
    made = values(3, 6, stops=(2,), min_new_tokens=5)
    assert drawn(logits, noise, made, step=np.array([0, 4, 5])).tolist() == [4, 4, 2]
    assert drawn(logits, noise, made, step=np.array([0, 4, 5]), suppressed=(4, 2)).tolist() == [0, 0, 0]


def test_noise_of_another_width() -> None:
    """Each logit has its own column."""
    rng = np.random.default_rng(6)
    logits, noise = rng.standard_normal((5, 8)).astype(F32), rng.exponential(size=(5, 20)).astype(F32)
    ids, made = [19, 3, 4, 0, 7, 11, 12, 2], values(5, 8)
    wanted = [reference(logits[row], noise[row, ids], made, row) for row in range(5)]
    assert drawn(logits, noise, made, noise_ids=ids).tolist() == wanted


def hashed(seed: int, step: int, token: int) -> float:
    """Compute the noise that realtts.accel.sampling.HashedNoise gives a token."""

    def mixed(x: int) -> int:
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
            x = ((x ^ x >> shift) * factor) % 2**64
        return x ^ x >> 31

    bits = mixed((mixed((seed + step * 0x9E3779B97F4A7C15) % 2**64) + token * 0xD1B54A32D192ED03) % 2**64)
    return float(F32(-np.log1p(-((bits >> 11) + 0.5) * 2.0**-53)))


def test_hashed_noise() -> None:
    """Without noise it is computed from seed, step and token, for the rows that the places have."""
    rng = np.random.default_rng(7)
    logits, made = rng.standard_normal((3, 50)).astype(F32), values(3, 50)
    seeds, step = np.array([[5], [-17], [2**62], [0]]), np.array([0, 3, 1000])
    rows = [2, 0, 1]
    noise = np.array(
        [[hashed(int(seeds[row, 0]), int(step[place]), token) for token in range(50)] for place, row in enumerate(rows)]
    ).astype(F32)
    wanted = drawn(logits, noise, made)
    assert drawn(logits, None, made, seeds=seeds, step=step, rows=rows).tolist() == wanted.tolist()


def test_broken_rows() -> None:
    """Rows without a finite best score are marked, and no others."""
    logits, noise = np.zeros((6, 5), F32), np.ones((6, 5), F32)
    logits[0, 3], logits[1, 2], logits[2], logits[3, 1] = np.nan, np.inf, -np.inf, -np.inf
    broken = np.zeros(8, bool)
    out = drawn(logits, noise, values(6, 5, top_k=3, top_p=0.9), broken=broken, rows=[7, 1, 0, 2, 3, 4])
    assert broken.tolist() == [True, True, False, False, False, False, False, True]
    assert ((out >= 0) & (out < 5)).all()


@pytest.mark.parametrize(
    ("changed", "match"),
    [
        ({"logits": np.zeros((3, 7), F32)}, "logits has the shape"),
        ({"logits": np.zeros((2, 5))}, "values are of another vocabulary|float64"),
        ({"noise": np.ones((1, 7), F32)}, "noise has the shape"),
        ({"noise": None}, "neither noise nor seeds"),
        ({"step": np.zeros(3, np.int64)}, "step has the shape"),
        ({"rows": [0]}, "rows has 1 numbers"),
        ({"rows": [0, 2], "broken": np.zeros(2, bool)}, "row 2 is not there"),
        ({"rows": [0, -1], "seen": np.zeros((2, 8), bool)}, "row -1 is not there"),
        ({"seen": np.zeros((2, 7), bool)}, "seen has the shape"),
        ({"order": ("top_k", "guidance")}, "put guidance first"),
        ({"order": ("own",)}, "order names 'own'"),
        ({"suppressed": (7,)}, "suppressed"),
        ({"noise_ids": [0, 1]}, "noise_ids"),
    ],
)
def test_what_does_not_fit(changed: dict[str, Any], match: str) -> None:
    """Raises ValueError with what is wrong."""
    arguments = {"logits": np.zeros((2, 7), F32), "noise": np.ones((2, 7), F32)} | changed
    with pytest.raises(ValueError, match=match):
        drawn(arguments.pop("logits"), arguments.pop("noise"), values(2, 7), arguments.pop("order", ORDER), **arguments)
