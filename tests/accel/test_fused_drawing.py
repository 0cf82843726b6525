"""Drawing by the fused operations: the sampler's tokens, and thresholds that are exact without a sort."""

import itertools
import math

import pytest

torch = pytest.importorskip("torch")

from realtts.accel.fused.drawing import Filters, order_of  # noqa: E402
from realtts.accel.fused.registry import OPERATIONS  # noqa: E402
from realtts.accel.sampling import RecordedNoise, Sampler, SamplingParams, SamplingRecipe  # noqa: E402
from realtts.accel.sampling.fused import why_not_fused  # noqa: E402

VOCABULARY = 61


pytestmark = pytest.mark.filterwarnings(
    "ignore:overflow encountered", "ignore:invalid value encountered"
)  # of NumPy, in which the interpreter computes; a GPU says nothing


@pytest.fixture(scope="module")
def interpreted():
    """Kernels run by Triton's interpreter, on tensors of the CPU."""
    pytest.importorskip("triton")
    from triton_interpreter import kernels

    with kernels(interpreted=True):
        yield


def random(*shape, seed=0):
    """The same numbers each time."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def column(*values, dtype=torch.float32):
    """A parameter of each row."""
    return torch.tensor(values, dtype=dtype)[:, None]


# -- kernels against plain torch ---------------------------------------------------------------------------------------


@pytest.mark.full
@pytest.mark.parametrize(
    "kinds", [["top_k"], ["top_p"], ["min_p"], ["top_k", "top_p"], ["temperature", "min_p", "top_p"]]
)
@pytest.mark.parametrize("tokens", [5, 61, 300])
def test_thresholds_are_exact(interpreted, kinds, tokens):
    """Whatever the parameters: none, one, some, all; with ties, infinities, zeros of both signs."""
    scores = random(6, tokens) * 3
    scores[1, ::2] = 0.25
    scores[2, :3] = torch.tensor([0.0, -0.0, -math.inf])
    scores[3] = -1e-30
    filters = Filters(
        order_of(kinds), temperature=column(1, 0.5, 2, 1, 1.3, 0.1),
        top_k=column(0, 3, 1, 4, tokens, tokens + 9, dtype=torch.int64), rest=column(0, 0.3, 0.05, 0.5, 0.999, 0.001),
        min_p=column(0, 0.2, 0.01, 1, 0.5, 0.3),
    )  # fmt: skip
    filtered = OPERATIONS["realtts::filtered"]
    actual, expected = (compute(scores, *filters.arguments) for compute in (filtered.launch, filtered.plain))
    assert torch.equal(actual.isinf(), expected.isinf())
    torch.testing.assert_close(actual, expected)


@pytest.mark.parametrize("bad", [math.nan, math.inf, None])
def test_broken_rows_are_noted(interpreted, bad):
    """One score that is none, or none that may be drawn."""
    scores = random(3, 40)
    if bad is None:
        scores[1] = -math.inf
    else:
        scores[1, 7] = bad
    filters = Filters(order_of(["temperature"]), temperature=column(1, 1, 1))
    draw = OPERATIONS["realtts::draw"]
    tokens, broken = draw.launch(scores, torch.ones(3, 40), column(0, 0, 0) > 0, *filters.arguments)
    assert broken.tolist() == [False, True, False]
    assert 0 <= int(tokens.min()) <= int(tokens.max()) < 40


# -- the sampler -------------------------------------------------------------------------------------------------------


def recipes():
    """Recipes as models have them."""
    start = torch.arange(VOCABULARY) == 9
    own = {"quiet": lambda scores, step, _rows: scores.masked_fill((step == 0)[:, None] & start, -math.inf)}
    return {
        "qwen3": SamplingRecipe(
            VOCABULARY, ("repetition_penalty", "suppress", "temperature", "top_k", "top_p"), (3,), (50, 51)
        ),
        "predictor": SamplingRecipe(VOCABULARY, ("temperature", "top_k", "top_p")),
        "guided": SamplingRecipe(
            VOCABULARY, ("guidance", "quiet", "repetition_penalty", "temperature", "min_p", "top_p"), (3,), own=own
        ),
        "unconditional": SamplingRecipe(VOCABULARY, ("guidance", "temperature"), guidance="unconditional"),
        "last": SamplingRecipe(
            VOCABULARY, ("temperature", "top_k", "top_p", "quiet", "repetition_penalty"), (3,), own=own
        ),
        "ends": SamplingRecipe(VOCABULARY, ("temperature", "quiet"), (3, 4), own=own),
    }


PARAMS = (
    SamplingParams(),
    SamplingParams(temperature=0.7, top_k=12, top_p=0.8, repetition_penalty=1.3, guidance=0.5),
    SamplingParams(greedy=True, min_new_tokens=6, repetition_penalty=2.0),
    SamplingParams(temperature=1.5, min_p=0.1, top_k=3, stop_tokens=(7, 8), min_new_tokens=2),
    SamplingParams(top_p=0.3, guidance=2.0),
)


def drawn(recipe, *, fused, skip_idle, rows=5, steps=12):
    """Tokens of all rows at each step, and which have broken."""
    noise = RecordedNoise(random(steps, rows, VOCABULARY, seed=3).exp())
    sampler = Sampler(recipe, rows, noise=noise, skip_idle=skip_idle, fused=fused)
    for row in range(rows):
        sampler.set(row, PARAMS[row], seed=row, history=[row, 5])
    count = rows * (2 if "guidance" in recipe.order else 1)
    tokens = []
    for step in range(steps):
        logits = random(count, VOCABULARY, seed=100 + step) * 4
        tokens.append(sampler(logits, torch.full((rows,), step)))
        sampler.observe(tokens[-1], torch.tensor([True] * (rows - 1) + [False]))
    return torch.stack(tokens).tolist(), sampler.broken.tolist()


@pytest.mark.parametrize("skip_idle", [True, False])
@pytest.mark.parametrize("name", list(recipes()))
def test_fused_draws_what_the_sampler_draws(name, skip_idle):
    """Token for token, whatever each row asks for."""
    recipe = recipes()[name]
    assert drawn(recipe, fused=True, skip_idle=skip_idle) == drawn(recipe, fused=False, skip_idle=skip_idle)


@pytest.mark.parametrize(
    ("changes", "hashed", "reason"),
    [
        ({"vocabulary": 16385}, False, "a vocabulary of more than 16384 tokens"),
        ({"narrow": True}, False, "candidates are few"),
        ({}, True, "candidates are few"),
        ({"noise_width": 99, "noise_ids": tuple(range(VOCABULARY))}, False, "noise of another width"),
        ({"order": ("top_k", "suppress")}, False, "tokens are suppressed behind a filter"),
    ],
)
def test_recipes_that_are_drawn_as_before(changes, hashed, reason):
    """What the kernel cannot hold or compute goes its usual way."""
    assert why_not_fused(SamplingRecipe(**{"vocabulary": VOCABULARY, **changes}), hashed=hashed) == reason


@pytest.mark.parametrize("order", list(itertools.permutations(("top_k", "top_p", "min_p", "temperature")))[::5])
def test_any_order_of_filters(order):
    """An order is a number, whose digits come back in their order."""
    recipe = SamplingRecipe(VOCABULARY, order)
    assert drawn(recipe, fused=True, skip_idle=False) == drawn(recipe, fused=False, skip_idle=False)


@pytest.mark.parametrize("fused", [False, True])
def test_parameters_are_no_part_of_a_captured_step(fused):
    """Whatever a row asks for needs no new graph: not even what sorts, unless it is fused."""
    sampler = Sampler(recipes()["predictor"], 2, skip_idle=False, fused=fused)
    sampler.set(0, SamplingParams(top_k=5), 0)
    before = sampler.structure
    for params in (SamplingParams(top_k=9, temperature=0.3), SamplingParams(top_p=0.5), *PARAMS):
        sampler.set(1, params, 0)
        assert sampler.structure[-1] == before[-1]
    sampler.set(1, SamplingParams(top_k=5, top_p=0.9), 0)
    assert sampler.structure == before
