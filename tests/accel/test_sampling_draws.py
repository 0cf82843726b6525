"""Tokens are those of torch.multinomial, and a row's tokens are its own."""

import itertools
import math

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from tests.accel.samplers import (  # noqa: E402
    EVERYTHING,
    TRANSFORMERS,
    TURBO,
    V,
    drawn,
    random_logits,
    reference,
    sampler_of,
    steps,
)

from realtts import InvalidOption  # noqa: E402
from realtts.accel.sampling import HashedNoise, RecordedNoise, SamplingParams, SamplingRecipe  # noqa: E402

pytestmark = pytest.mark.usefixtures("unchanged")


@pytest.mark.parametrize("size", [5, 40, V, 6561])
def test_tokens_are_those_of_torch_multinomial(size):
    """Step by step, from a generator with the row's seed, over 60 steps of penalty, warpers and history."""
    params = SamplingParams(temperature=0.8, top_p=0.95, repetition_penalty=1.2)
    order = ("repetition_penalty", "temperature", "top_p")
    sampler = sampler_of(SamplingRecipe(size, order=order), [params] * 2, seeds=[41, 42])
    generators = [torch.Generator().manual_seed(seed) for seed in (41, 42)]
    histories = [[], []]
    for step in range(60):
        logits = random_logits(2, size, seed=step)
        tokens = sampler(logits, steps(2, step))
        sampler.observe(tokens, torch.ones(2, dtype=torch.bool))
        for row in range(2):
            p = reference(order, params, histories[row], logits[row : row + 1]).softmax(-1)
            histories[row].append(torch.multinomial(p, 1, generator=generators[row]).item())
        assert tokens.tolist() == [histories[0][-1], histories[1][-1]]


def test_draws_follow_the_distribution():
    """Frequencies of 4,000 draws; the seed is fixed, so that the answer is always the same."""
    logits = random_logits(1, 6, scale=1.0)
    sampler = sampler_of(SamplingRecipe(6), [SamplingParams()])
    tokens = drawn(sampler, logits.expand(4_000, 1, 6))
    frequencies = torch.bincount(tokens[:, 0], minlength=6) / 4_000
    assert (frequencies - logits.softmax(-1)[0]).abs().max() < 0.02


def test_narrow_draws_what_wide_draws():
    """In Turbo's order too, where the penalty comes after; with top_k at the bound."""
    logits = random_logits(20, 2, 1000)
    for order, k in itertools.product((TURBO, TRANSFORMERS[1:]), (1, 64, 200)):
        params = SamplingParams(temperature=0.9, top_k=k, top_p=0.97, repetition_penalty=1.3)
        wide, narrow = (
            sampler_of(SamplingRecipe(1000, order=order, narrow=narrow), [params] * 2, history=[range(900)] * 2)
            for narrow in (False, True)
        )
        assert torch.equal(drawn(wide, logits), drawn(narrow, logits))
        wide_p, narrow_p = (one.probabilities(logits[0], steps(2)) for one in (wide, narrow))
        assert torch.allclose(wide_p, narrow_p, atol=1e-6)


def test_narrow_serves_rows_without_top_k_from_all_tokens():
    """One such row is enough, and its neighbour notices nothing."""
    logits = random_logits(30, 2, 500)
    params = [SamplingParams(top_k=5), SamplingParams()]
    wide, narrow = (
        sampler_of(SamplingRecipe(500, order=("top_k",), narrow=narrow), params) for narrow in (False, True)
    )
    tokens = drawn(narrow, logits)
    assert torch.equal(tokens, drawn(wide, logits))
    assert len(tokens[:, 1].unique()) > 5


@pytest.mark.parametrize("narrow", [False, True])
def test_a_smaller_head_draws_what_the_full_vocabulary_would_have_drawn(narrow):
    """The reference masks all but the head's ids; its noise is as wide as its vocabulary."""
    ids = tuple(range(300, 300 + V))
    logits = random_logits(60, 1, V)
    recipe = SamplingRecipe(V, order=("temperature", "top_k"), noise_width=1000, noise_ids=ids, narrow=narrow)
    sampler = sampler_of(recipe, [SamplingParams(temperature=0.7, top_k=V if narrow else 0)], seeds=[5])
    generator = torch.Generator().manual_seed(5)
    for step, one in enumerate(logits):
        full = torch.full((1, 1000), float("-inf"))
        full[:, 300 : 300 + V] = one
        expected = torch.multinomial((full / 0.7).softmax(-1), 1, generator=generator).item() - 300
        assert sampler(one, steps(1, step)).item() == expected


def test_recorded_noise_gives_the_recorded_tokens():
    """Slice by slice, the last one again at the end, and from the first one after a reseed."""
    logits = random_logits(5, 2, V)
    noise = torch.empty(4, 2, V)
    for row, generator in enumerate(torch.Generator().manual_seed(seed) for seed in (7, 8)):
        for draw in noise:
            draw[row].exponential_(generator=generator)
    recipe, params = SamplingRecipe(V), [SamplingParams()] * 2
    expected = drawn(sampler_of(recipe, params, seeds=[7, 8]), logits[:4])
    sampler = sampler_of(recipe, params, noise=RecordedNoise(noise))
    assert torch.equal(drawn(sampler, logits[:4]), expected)
    again = (logits[4].softmax(-1) / noise[3]).argmax(-1)
    assert torch.equal(sampler(logits[4], steps(2)), again)
    sampler.set(0, SamplingParams(), 0)
    first = sampler(logits[0], steps(2))
    assert first[0] == expected[0, 0]
    assert first[1] == (logits[0, 1].softmax(-1) / noise[3, 1]).argmax(-1), "the other row was not begun again"
    for row in (0, 1):
        sampler.set(row, SamplingParams(), 0)
    assert torch.equal(drawn(sampler, logits[:4]), expected)


# -- rows -----------------------------------------------------------------------------------------------------------


def test_hashed_noise_is_exponential_and_of_no_pattern():
    """Mean and spread 1, none of it 0 or infinite, and neighbours by step, token and seed have nothing in common."""
    rows, tokens, steps_ = 4, 20_000, 5
    noise = HashedNoise(rows, torch.device("cpu"))
    for row in range(rows):
        noise.reseed(row, row)
    found = torch.stack([noise.at(torch.full((rows,), step), torch.arange(tokens)) for step in range(steps_)])
    assert found.min() > 0
    assert found.isfinite().all()
    assert abs(found.mean() - 1) < 0.01
    assert abs(found.std() - 1) < 0.01
    assert (found > 3).float().mean() == pytest.approx(math.exp(-3), rel=0.03)
    flat = found.view(rows * steps_, tokens)
    assert (torch.corrcoef(flat) - torch.eye(len(flat))).abs().max() < 0.04
    assert torch.corrcoef(torch.stack([flat[:, :-1].flatten(), flat[:, 1:].flatten()]))[0, 1].abs() < 0.01


@pytest.mark.parametrize("seed", [0, 1, 2**63 - 1])
def test_hashed_noise_depends_on_nothing_else(seed):
    """Not on other rows, nor on how many tokens may be drawn; a smaller head meets what a larger one meets."""
    logits = random_logits(30, 3, 400)
    params = [SamplingParams(top_k=9, temperature=3.0)] * 3
    recipe = SamplingRecipe(400, order=("temperature", "top_k"), narrow=True)
    wide = SamplingRecipe(400, order=("temperature", "top_k"))
    part = SamplingRecipe(100, order=("temperature", "top_k"), noise_width=400, noise_ids=tuple(range(300, 400)))

    def draws(recipe, rows, given):
        sampler = sampler_of(recipe, params[:rows], seeds=[seed] * rows, noise=HashedNoise(rows, torch.device("cpu")))
        return torch.stack([sampler(one, steps(rows, step)) for step, one in enumerate(given)])

    together = draws(recipe, 3, logits)
    assert torch.equal(together, draws(wide, 3, logits))
    assert torch.equal(together[:, :1], draws(recipe, 1, logits[:, :1]))
    masked = logits.clone()
    masked[..., :300] = float("-inf")
    assert torch.equal(draws(recipe, 3, masked), draws(part, 3, logits[..., 300:]) + 300)
    assert torch.equal(draws(recipe, 3, logits), together)


@pytest.mark.parametrize("noise", [None, HashedNoise, RecordedNoise])
def test_rows_come_and_go(noise):
    """In any order and beside any others, with histories and generators of their own; who waits does not move on."""
    logits = random_logits(40, 4, 50)
    params = [SamplingParams(top_k=5 + row, temperature=2.0, repetition_penalty=1.5) for row in range(4)]
    recorded = torch.empty(40, 4, 50).exponential_(generator=torch.Generator().manual_seed(0))

    def sampler():
        source = {None: lambda: None, HashedNoise: lambda: HashedNoise(4, torch.device("cpu")),
                  RecordedNoise: lambda: RecordedNoise(recorded)}[noise]()  # fmt: skip
        recipe = SamplingRecipe(50, order=("repetition_penalty", "temperature", "top_k"), penalty_window=6)
        return sampler_of(recipe, params, seeds=[3, 4, 5, 6], noise=source)

    def draw(sampler, step, logits):
        tokens = sampler(logits, step)
        sampler.observe(tokens, torch.ones(len(step), dtype=torch.bool))
        return tokens.tolist()

    whole, part = sampler(), sampler()
    expected = list(zip(*(draw(whole, steps(4, step), one) for step, one in enumerate(logits)), strict=True))
    found = [[] for _ in range(4)]
    for placed, count in (([0, 1, 2, 3], 5), ([3, 1], 7), ([2], 3), ([1, 2, 3, 0], 4), ([0, 3], 6), ([2, 0, 1], 9)):
        part.place(placed, torch.tensor(placed))
        for _ in range(count):
            at = torch.tensor([len(found[row]) for row in placed])
            for row, token in zip(placed, draw(part, at, logits[at, placed]), strict=True):
                found[row].append(token)
    assert [len(tokens) for tokens in found] == [24, 25, 21, 22]
    for own, tokens in zip(found, expected, strict=True):
        assert own == list(tokens[: len(own)])


@pytest.mark.parametrize("top_k", [0, 5])
def test_a_row_is_narrowed_or_not_whatever_its_neighbours_are(top_k):
    """A row with a top k is drawn from the candidates alone, and one without from all, beside both kinds."""
    recipe = SamplingRecipe(50, order=("temperature", "top_k", "top_p"), narrow=True)
    logits = random_logits(30, 3, 50)
    own = SamplingParams(top_k=top_k, top_p=0.9)
    alone = drawn(sampler_of(recipe, [own], seeds=[7]), logits[:, :1])
    for others in ((0, 0), (5, 9), (9, 0), (0, 5)):
        params = [own, *(SamplingParams(top_k=k) for k in others)]
        assert torch.equal(drawn(sampler_of(recipe, params, seeds=[7, 8, 9]), logits)[:, :1], alone)


def test_a_row_may_have_stop_tokens_of_its_own():
    """They end this row alone, cannot be drawn too early, and are gone with the next request."""
    recipe = SamplingRecipe(20, order=(), stop_tokens=(3,))
    sampler = sampler_of(recipe, [SamplingParams(stop_tokens=(5, 6)), SamplingParams(), SamplingParams(stop_tokens=())])
    for token, ends in ((3, [False, True, False]), (5, [True, False, False]), (6, [True, False, False])):
        assert sampler.is_stop(torch.full((3,), token)).tolist() == ends
    sampler.set(0, SamplingParams(stop_tokens=(5,), min_new_tokens=2), 0)
    logits = torch.zeros(3, 20)
    logits[:, 5] = 100.0
    assert [int(sampler(logits, steps(3, step))[0] == 5) for step in range(4)] == [0, 0, 1, 1]
    sampler.set(0, SamplingParams(), 0)
    assert sampler.is_stop(torch.full((3,), 3)).tolist() == [True, True, False]
    with pytest.raises(InvalidOption, match="stop_tokens"):
        sampler.set(0, SamplingParams(stop_tokens=(20,)), 0)


@pytest.mark.parametrize("neighbour", [SamplingParams(), SamplingParams(top_k=9, temperature=3.0), EVERYTHING])
@pytest.mark.parametrize("rows", [1, 2, 5])
def test_a_row_draws_what_it_draws_alone(rows, neighbour):
    """Whatever its neighbours ask for, and however many there are."""
    logits = random_logits(40, V)
    alone = drawn(sampler_of(SamplingRecipe(V), [EVERYTHING], seeds=[3], history=[(1, 2)]), logits[:, None])
    params, seeds = [neighbour] * rows, [*range(100, 100 + rows)]
    params[rows // 2], seeds[rows // 2] = EVERYTHING, 3
    sampler = sampler_of(SamplingRecipe(V), params, seeds=seeds, history=[(1, 2)] * rows)
    batch = random_logits(40, rows, V, seed=1)
    batch[:, rows // 2] = logits
    assert torch.equal(drawn(sampler, batch)[:, rows // 2], alone[:, 0])


def test_setting_a_row_leaves_the_others_alone():
    """A request that begins in the middle of another's: parameters, history, noise and the broken flag are its own."""
    logits = random_logits(20, 2, V)
    recipe = SamplingRecipe(V, penalty_window=4)
    undisturbed = sampler_of(recipe, [EVERYTHING] * 2, history=[(1, 2)] * 2)
    disturbed = sampler_of(recipe, [EVERYTHING] * 2, history=[(1, 2)] * 2)
    for number, one in enumerate(logits):
        tokens = [sampler(one, steps(2, number)) for sampler in (undisturbed, disturbed)]
        assert tokens[0][0] == tokens[1][0]
        for sampler, own in zip((undisturbed, disturbed), tokens, strict=True):
            sampler.observe(own, torch.ones(2, dtype=torch.bool))
        if number == 10:
            disturbed.set(1, SamplingParams(temperature=2.0), 99, (5, 6, 7, 8, 9))
    assert disturbed.probabilities(logits[0], steps(2))[0].equal(undisturbed.probabilities(logits[0], steps(2))[0])


def test_the_same_seed_repeats():
    """A row that is set again draws the same again; another seed does not."""
    logits = random_logits(30, 1, V)
    sampler = sampler_of(SamplingRecipe(V), [SamplingParams()], seeds=[1])
    first = drawn(sampler, logits)
    sampler.set(0, SamplingParams(), 1)
    assert torch.equal(drawn(sampler, logits), first)
    sampler.set(0, SamplingParams(), 2)
    assert not torch.equal(drawn(sampler, logits), first)


def test_greedy_takes_the_best_and_may_stand_beside_drawing():
    """Per row; all greedy too, where no noise is drawn."""
    logits = random_logits(30, 2, V)
    mixed = [SamplingParams(greedy=True, repetition_penalty=1.1), SamplingParams()]
    tokens = drawn(sampler_of(SamplingRecipe(V), mixed), logits)
    assert torch.equal(tokens[:, 0], logits[:, 0].argmax(-1))
    assert not torch.equal(tokens[:, 1], logits[:, 1].argmax(-1))
    assert torch.equal(tokens[:, 1], drawn(sampler_of(SamplingRecipe(V), [SamplingParams()] * 2), logits)[:, 1])
    both = sampler_of(SamplingRecipe(V), [SamplingParams(greedy=True)] * 2)
    assert torch.equal(drawn(both, logits), logits.argmax(-1))


@pytest.mark.parametrize("narrow", [False, True])
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_logits_that_are_not_finite_are_remembered(bad, narrow):
    """For that row only, until its next request; minus infinity for some tokens is a mask and no fault."""
    sampler = sampler_of(SamplingRecipe(V, narrow=narrow), [EVERYTHING] * 3)
    logits = random_logits(3, V)
    logits[0, 5:] = float("-inf")
    sampler(logits, steps(3))
    assert sampler.broken.tolist() == [False, False, False]
    logits[1, 50] = bad
    sampler(logits, steps(3))
    sampler(random_logits(3, V), steps(3))
    assert sampler.broken.tolist() == [False, True, False]
    sampler.set(1, EVERYTHING, 0)
    assert sampler.broken.tolist() == [False, False, False]


def test_nothing_left_to_draw_is_a_fault_too():
    """All tokens masked."""
    sampler = sampler_of(SamplingRecipe(4), [SamplingParams()])
    sampler(torch.full((1, 4), float("-inf")), steps(1))
    assert sampler.broken.tolist() == [True]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_logits_are_sampled_in_float32(dtype):
    """The same as their float32 values."""
    logits = random_logits(2, V).to(dtype)
    found = sampler_of(SamplingRecipe(V), [EVERYTHING] * 2).probabilities(logits, steps(2))
    assert torch.equal(found, sampler_of(SamplingRecipe(V), [EVERYTHING] * 2).probabilities(logits.float(), steps(2)))
    assert found.dtype is torch.float32
