"""The distribution that is drawn from is that of transformers' processors on the same logits."""

import itertools
import weakref

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from tests.accel.samplers import (  # noqa: E402
    CHATTERBOX,
    EVERYTHING,
    HISTORY,
    TRANSFORMERS,
    TURBO,
    V,
    random_logits,
    recipe_of,
    reference,
    sampler_of,
    steps,
)

from realtts import InvalidOption  # noqa: E402
from realtts.accel.sampling import Sampler, SamplingParams, SamplingRecipe  # noqa: E402

pytestmark = pytest.mark.usefixtures("unchanged")


@pytest.mark.parametrize("skip_idle", [True, False])
@pytest.mark.parametrize(
    ("order", "params"),
    [
        (("temperature",), SamplingParams(temperature=0.35)),
        (("repetition_penalty",), SamplingParams(repetition_penalty=1.7)),
        (("repetition_penalty",), SamplingParams(repetition_penalty=0.6)),
        (("top_k",), SamplingParams(top_k=1)),
        (("top_k",), SamplingParams(top_k=10)),
        (("top_k",), SamplingParams(top_k=5000)),
        (("top_p",), SamplingParams(top_p=0.9)),
        (("top_p",), SamplingParams(top_p=1e-6)),
        (("top_p",), SamplingParams(top_p=0.99999)),
        (("min_p",), SamplingParams(min_p=0.05)),
        (("min_p",), SamplingParams(min_p=1.0)),
        (("suppress",), SamplingParams()),
        (TRANSFORMERS, EVERYTHING),
        (TURBO, EVERYTHING),
        (("top_p", "min_p", "temperature", "repetition_penalty", "top_k", "suppress"), EVERYTHING),
    ],
    ids=str,
)
def test_distributions_are_those_of_transformers(order, params, skip_idle):
    """Bit for bit: each processor alone, and several orders; each row with a history of its own."""
    logits = random_logits(3, V)
    sampler = sampler_of(recipe_of(order), [params] * 3, history=HISTORY, skip_idle=skip_idle)
    found = sampler.probabilities(logits, steps(3))
    for row, history in enumerate(HISTORY):
        expected = reference(order, params, history, logits[row : row + 1]).softmax(-1)
        assert torch.equal(found[row : row + 1], expected)


def test_random_parameters_in_every_order():
    """Every permutation of five processors, with other parameters for each, next to each other in one batch."""
    generator = torch.Generator().manual_seed(1)
    names = ("repetition_penalty", "temperature", "top_k", "top_p", "min_p")
    for number, order in enumerate(itertools.permutations(names)):
        draws = torch.rand(2, 5, generator=generator)
        params = [
            SamplingParams(
                temperature=0.2 + a,
                top_k=1 + int(b * V),
                top_p=0.05 + 0.94 * c,
                min_p=d / 5,
                repetition_penalty=0.5 + e,
            )
            for a, b, c, d, e in draws.tolist()
        ]
        logits = random_logits(2, V, seed=number)
        found = sampler_of(recipe_of(order), params, history=HISTORY[:2]).probabilities(logits, steps(2))
        for row in range(2):
            expected = reference(order, params[row], HISTORY[row], logits[row : row + 1]).softmax(-1)
            assert torch.equal(found[row : row + 1], expected), order


@pytest.mark.parametrize("order", [("temperature", "top_p"), ("repetition_penalty", "top_k")])
def test_the_order_counts(order):
    """Otherwise the tests above would prove nothing about it."""
    logits = torch.linspace(3, 0, V)[None]
    params = SamplingParams(temperature=0.3, top_p=0.6, repetition_penalty=5.0, top_k=4)
    one, other = (
        sampler_of(recipe_of(names), [params], history=HISTORY[:1]).probabilities(logits, steps(1))
        for names in (order, order[::-1])
    )
    assert not torch.equal(one, other)


@pytest.mark.parametrize("narrow", [False, True])
@pytest.mark.parametrize("k", [1, 3, 4, 7])
def test_ties_with_the_last_of_top_k_stay(k, narrow):
    """As transformers has it: more than k tokens may be left."""
    logits = torch.tensor([[2.0, 5.0, 2.0, 1.0, 2.0, 3.0, 2.0, 0.0]])
    params = SamplingParams(top_k=k)
    recipe = SamplingRecipe(8, order=("top_k",), narrow=narrow)
    found = sampler_of(recipe, [params]).probabilities(logits, steps(1))
    assert torch.allclose(found, reference(("top_k",), params, (), logits).softmax(-1), atol=1e-7)


@pytest.mark.parametrize("p", [0.1, 0.2, 0.3, 0.5, 0.6, 0.7, 0.8, 0.9])
@pytest.mark.parametrize("equal", [2, 5, 10])
def test_top_p_decides_ties_as_transformers_does(p, equal):
    """Equal tokens whose sum meets the threshold exactly, where the rounding of 1 - p decides."""
    logits, params = torch.zeros(1, equal), SamplingParams(top_p=p)
    found = sampler_of(SamplingRecipe(equal, order=("top_p",)), [params]).probabilities(logits, steps(1))
    assert torch.equal(found, reference(("top_p",), params, (), logits).softmax(-1))


@pytest.mark.parametrize("k", [1, 2, 5, 96, 97, 500])
@pytest.mark.parametrize("greedy", [False, True])
def test_what_all_rows_share_changes_nothing(k, greedy):
    """One top k for all, or several; ties with the last one, NaN, and a row that takes the likeliest."""
    logits = random_logits(4, V).round_()  # many are equal
    logits[3, 7] = float("nan")
    params = [SamplingParams(top_k=k, greedy=greedy and row == 1) for row in range(4)]
    mixed = [*params[:3], SamplingParams(top_k=3)]
    same, other = (sampler_of(recipe_of(("top_k",)), each) for each in (params, mixed))
    assert torch.equal(same.probabilities(logits, steps(4))[:3], other.probabilities(logits, steps(4))[:3])
    assert torch.equal(same(logits, steps(4))[:3], other(logits, steps(4))[:3])
    assert same.broken.tolist() == other.broken.tolist() == [False, False, False, True]


def test_idle_parameters_change_nothing():
    """The defaults give the model's own distribution, though every processor is in the order and runs."""
    logits = random_logits(2, V, scale=30)
    sampler = sampler_of(SamplingRecipe(V), [SamplingParams()] * 2, history=HISTORY[:2], skip_idle=False)
    assert torch.equal(sampler.probabilities(logits, steps(2)), logits.softmax(-1))


def test_guidance_as_chatterbox_has_it():
    """``c + w (c - u)``, in Chatterbox's order, for two streams: conditional rows first."""
    params = SamplingParams(guidance=0.5, repetition_penalty=1.2, temperature=0.8, min_p=0.05, top_p=0.95)
    logits = random_logits(4, V)
    sampler = sampler_of(recipe_of(CHATTERBOX), [params] * 2, history=HISTORY[:2])
    found = sampler.probabilities(logits, steps(2))
    for row in range(2):
        expected = reference(CHATTERBOX, params, HISTORY[row], logits[[row, row + 2]]).softmax(-1)
        assert torch.equal(found[row : row + 1], expected)


def test_guidance_as_transformers_has_it():
    """``u + w (c - u)``, by transformers' own processor."""
    logits = random_logits(4, V)
    recipe = SamplingRecipe(V, order=("guidance",), guidance="unconditional")
    found = sampler_of(recipe, [SamplingParams(guidance=3.0)] * 2).probabilities(logits, steps(2))
    processor = transformers.ClassifierFreeGuidanceLogitsProcessor(3.0)
    assert torch.equal(found, processor(torch.zeros(2, 0), logits).softmax(-1))


@pytest.mark.parametrize("order", [TRANSFORMERS[1:], CHATTERBOX])
def test_stop_tokens_wait_for_the_fewest_tokens(order):
    """As transformers' MinNewTokensLength, per row; with guidance too."""
    rows = 2 if "guidance" in order else 1
    recipe = SamplingRecipe(V, order=order, stop_tokens=(7, 11))
    sampler = sampler_of(recipe, [SamplingParams(min_new_tokens=3), SamplingParams()])
    logits = random_logits(2, V).repeat(rows, 1)
    for step in range(5):
        found = sampler.probabilities(logits, steps(2, step))
        processor = transformers.MinNewTokensLengthLogitsProcessor(4, 3, [7, 11], device="cpu")
        expected = processor(torch.zeros(1, 4 + step, dtype=torch.int64), logits[:1]).softmax(-1)
        assert torch.allclose(found[:1], expected, atol=1e-7)
        assert (found[0, [7, 11]] == 0).all() == (step < 3)
        assert (found[1, [7, 11]] > 0).all()
    assert sampler.is_stop(torch.tensor([7, 8])).tolist() == [True, False]


def test_history_grows_with_what_is_observed():
    """Rows that do not count learn nothing; the rest is as if transformers had seen all tokens."""
    params = SamplingParams(repetition_penalty=1.4)
    sampler = sampler_of(SamplingRecipe(V, order=("repetition_penalty",)), [params] * 2, history=[(1, 2), (9,)])
    sampler.observe(torch.tensor([50, 60]), torch.tensor([True, False]))
    sampler.observe(torch.tensor([51, 61]), torch.tensor([True, True]))
    logits = random_logits(2, V)
    found = sampler.probabilities(logits, steps(2))
    for row, seen in enumerate([(1, 2, 50, 51), (9, 61)]):
        expected = reference(("repetition_penalty",), params, seen, logits[row : row + 1]).softmax(-1)
        assert torch.equal(found[row : row + 1], expected)


def test_only_the_latest_tokens_are_penalized_within_a_window():
    """A token that has left the window is free again, unless it is in it a second time."""
    params = SamplingParams(repetition_penalty=1.4)
    recipe = SamplingRecipe(V, order=("repetition_penalty",), penalty_window=3)
    histories = [[0, 1, 2, 3, 1], [8]]
    sampler = sampler_of(recipe, [params] * 2, history=histories)
    logits = random_logits(2, V)
    for token in (20, 1, 21, 22, 22, 23, 24):
        found = sampler.probabilities(logits, steps(2))
        for row, seen in enumerate(histories):
            expected = reference(("repetition_penalty",), params, seen[-3:], logits[row : row + 1]).softmax(-1)
            assert torch.equal(found[row : row + 1], expected)
        alone = token != 22  # the second row sleeps through two steps
        sampler.observe(torch.tensor([token, token]), torch.tensor([True, alone]))
        histories[0].append(token)
        if alone:
            histories[1].append(token)


def test_own_processors_run_where_the_order_says():
    """They get scores, step and the numbers of the rows, and stand among the others."""
    seen = []

    def own(scores, step, rows):
        seen.append((step.tolist(), rows.tolist()))
        return scores - 2 * torch.arange(V)

    logits = random_logits(2, V)
    recipe = SamplingRecipe(V, order=("temperature", "own", "top_k"), own={"own": own})
    found = sampler_of(recipe, [SamplingParams(temperature=0.5, top_k=4)] * 2).probabilities(logits, steps(2, 6))
    expected = reference(("top_k",), SamplingParams(top_k=4), (), logits / 0.5 - 2 * torch.arange(V))
    assert torch.equal(found, expected.softmax(-1))
    assert seen == [([6, 6], [0, 1])]


# -- errors ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("temperature", 0.0),
        ("temperature", -1.0),
        ("temperature", float("nan")),
        ("temperature", float("inf")),
        ("temperature", "hot"),
        ("temperature", None),
        ("top_k", -1),
        ("top_k", 2.5),
        ("top_k", True),
        ("top_p", 0.0),
        ("top_p", 1.01),
        ("min_p", -0.1),
        ("min_p", 1.1),
        ("repetition_penalty", 0),
        ("guidance", float("-inf")),
        ("min_new_tokens", -1),
        ("min_new_tokens", 1.5),
    ],
)
def test_a_parameter_out_of_range_is_refused_by_name(name, value):
    """With the range."""
    with pytest.raises(InvalidOption, match=rf"{name} is .*give a number (above|at least)"):
        SamplingParams(**{name: value})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"order": ("top_z",)}, "order is"),
        ({"order": ("top_k", "top_k")}, "at most once"),
        ({"order": ("temperature", "guidance")}, "put guidance first"),
        ({"order": ("top_k",), "suppressed": (1,)}, "add 'suppress'"),
        ({"suppressed": (V,)}, "suppressed is"),
        ({"stop_tokens": (-1,)}, "stop_tokens is"),
        ({"noise_width": 200}, "noise_ids does not fit"),
        ({"noise_width": 200, "noise_ids": (1, 2)}, "noise_ids does not fit"),
        ({"noise_width": 200, "noise_ids": tuple(range(150, 150 + V))}, "noise_ids does not fit"),
        ({"noise_ids": (1, 2)}, "noise_ids does not fit"),
        ({"max_top_k": 0}, "max_top_k is 0"),
        ({"penalty_window": 0}, "penalty_window is 0"),
        ({"narrow": True, "order": ("temperature",)}, "narrow needs top_k"),
        ({"narrow": True, "order": ("top_k", "own"), "own": {"own": lambda scores, _: scores}}, "narrow needs top_k"),
    ],
)
def test_a_recipe_that_cannot_work_is_refused(options, message):
    """When it is made, not in the middle of a request."""
    with pytest.raises(InvalidOption, match=message):
        SamplingRecipe(V, **options)


def test_logits_of_another_shape_are_refused():
    """With the shape that is right, which guidance doubles."""
    with pytest.raises(InvalidOption, match=rf"give \(2, {V}\)"):
        Sampler(SamplingRecipe(V), 2)(torch.zeros(2, V + 1), steps(2))
    with pytest.raises(InvalidOption, match=rf"give \(4, {V}\)"):
        Sampler(SamplingRecipe(V, order=("guidance",)), 2)(torch.zeros(2, V), steps(2))


@pytest.mark.parametrize("token", [-1, V])
def test_a_history_of_no_tokens_is_refused(token):
    """Before anything of the row is changed."""
    sampler = sampler_of(SamplingRecipe(V), [SamplingParams(temperature=0.5)])
    before = sampler.probabilities(random_logits(1, V), steps(1))
    with pytest.raises(InvalidOption, match="ids below"):
        sampler.set(0, SamplingParams(), 0, [3, token])
    assert torch.equal(sampler.probabilities(random_logits(1, V), steps(1)), before)


def test_a_sampler_goes_with_its_last_reference():
    """Nothing in it refers back to it, so that its tensors do not wait for the garbage collector."""
    sampler = sampler_of(recipe_of(TRANSFORMERS), [SamplingParams()] * 2)
    gone = weakref.ref(sampler)
    del sampler
    assert gone() is None
