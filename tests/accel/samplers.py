"""Samplers and logits for the tests, and transformers' processors as the reference."""

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from realtts.accel.sampling import Sampler, SamplingParams, SamplingRecipe  # noqa: E402

V = 97
CHATTERBOX = ("guidance", "repetition_penalty", "temperature", "min_p", "top_p")
TURBO = ("temperature", "top_k", "top_p", "repetition_penalty")
TRANSFORMERS = ("suppress", "repetition_penalty", "temperature", "top_k", "top_p", "min_p")
EVERYTHING = SamplingParams(temperature=0.7, top_k=20, top_p=0.8, min_p=0.03, repetition_penalty=1.3)
HISTORY = ((3, 5, 5, 96), (0,), ())
SUPPRESSED = (1, 4, 90)


def random_logits(*shape, seed=0, scale=3.0):
    """Logits from a generator of their own."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * scale


def steps(rows, step=0):
    """How many tokens each row has."""
    return torch.full((rows,), step)


def sampler_of(recipe, params, *, seeds=None, history=None, **options):
    """A sampler with one request per row."""
    sampler = Sampler(recipe, len(params), **options)
    for row, one in enumerate(params):
        sampler.set(row, one, row if seeds is None else seeds[row], history[row] if history else ())
    return sampler


def reference(order, params, history, logits):
    """Scores of one row by transformers' own processors; guidance in the model's own words."""
    ids = torch.tensor([list(history)], dtype=torch.int64)
    made = {
        "suppress": lambda: transformers.SuppressTokensLogitsProcessor(list(SUPPRESSED), device="cpu"),
        "repetition_penalty": lambda: transformers.RepetitionPenaltyLogitsProcessor(params.repetition_penalty),
        "temperature": lambda: transformers.TemperatureLogitsWarper(params.temperature),
        "top_k": lambda: transformers.TopKLogitsWarper(params.top_k),
        "top_p": lambda: transformers.TopPLogitsWarper(params.top_p),
        "min_p": lambda: transformers.MinPLogitsWarper(params.min_p),
    }
    idle = {"top_k": params.top_k == 0, "repetition_penalty": not history}
    for name in order:
        if name == "guidance":
            conditional, unconditional = logits
            logits = (conditional + params.guidance * (conditional - unconditional))[None]
        elif not idle.get(name, False):
            logits = made[name]()(ids, logits)
    return logits


def recipe_of(order, **options):
    """With suppressed tokens where the order has a place for them."""
    return SamplingRecipe(V, order=order, suppressed=SUPPRESSED if "suppress" in order else (), **options)


def drawn(sampler, logits):
    """Tokens of each step, (steps, rows)."""
    return torch.stack([sampler(one, steps(sampler.rows, number)) for number, one in enumerate(logits)])
