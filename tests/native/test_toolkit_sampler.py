"""The toolkit's sampler over realtts-native: on the same logits the same tokens as by torch's operators."""

import pytest

torch = pytest.importorskip("torch")
realtts_native = pytest.importorskip("realtts_native")
if realtts_native.usable():
    pytest.skip(str(realtts_native.usable()), allow_module_level=True)

from realtts import AccelError, InvalidOption  # noqa: E402
from realtts.accel.sampling import HashedNoise, RecordedNoise, Sampler, SamplingParams, SamplingRecipe  # noqa: E402

CPU = torch.device("cpu")


def even(scores, _step, _rows):
    """Leave no odd token."""
    return scores.masked_fill(torch.arange(scores.shape[1]) % 2 == 1, float("-inf"))


def urge(scores, step, _rows):
    """Make token 2, which may be a stop token, the best one at the third step."""
    return torch.where((step == 2)[:, None] & (torch.arange(scores.shape[1]) == 2), scores + 1e4, scores)


RECIPES = {
    "everything": SamplingRecipe(61, stop_tokens=(3,), suppressed=(5, 9)),
    "guided": SamplingRecipe(211, order=("guidance", "repetition_penalty", "temperature", "min_p", "top_p")),
    "guided from below": SamplingRecipe(50, order=("guidance", "temperature", "top_k"), guidance="unconditional"),
    "own first": SamplingRecipe(
        80, order=("guidance", "even", "temperature", "min_p"), own={"even": even}, stop_tokens=(4,)
    ),
    "own urges a stop": SamplingRecipe(40, order=("urge", "temperature"), own={"urge": urge}, stop_tokens=(2,)),
    "own last": SamplingRecipe(70, order=("temperature", "top_k", "even"), own={"even": even}),
    "narrow": SamplingRecipe(3000, order=("temperature", "top_k", "top_p"), narrow=True),
    "window": SamplingRecipe(64, order=("repetition_penalty", "temperature"), penalty_window=3),
    "wide noise": SamplingRecipe(6, noise_width=90, noise_ids=(3, 80, 81, 5, 6, 7)),
    "large": SamplingRecipe(9000, order=("suppress", "temperature", "top_k"), suppressed=(0, 8999)),
}
PARAMS = [
    SamplingParams(guidance=0.5),
    SamplingParams(temperature=0.7, top_k=5, guidance=1.5, min_new_tokens=6),
    SamplingParams(greedy=True, repetition_penalty=1.5),
    SamplingParams(temperature=1.3, top_p=0.8, min_p=0.02, repetition_penalty=1.2),
    SamplingParams(top_k=300, top_p=0.95),
]


def pair(recipe, rows, noise=lambda: None):
    """The two samplers."""
    return [Sampler(recipe, rows, noise=noise(), native=native) for native in (True, False)]


@pytest.mark.parametrize("hashed", [False, True], ids=["generators", "hashed"])
@pytest.mark.parametrize("name", RECIPES)
def test_tokens_are_torchs(name, hashed):
    """Forty steps of five rows with parameters, histories and seeds of their own, which come, go and change places."""
    recipe, rows = RECIPES[name], len(PARAMS)
    generator = torch.Generator().manual_seed(len(name))
    samplers = pair(recipe, rows, (lambda: HashedNoise(rows, CPU)) if hashed else (lambda: None))
    parts = 2 if "guidance" in recipe.order else 1
    for step in range(40):
        if step % 8 == 0:
            placed = torch.randperm(rows, generator=generator)[: 1 + step // 8].tolist()
            for sampler in samplers:
                for row in placed[:2]:
                    sampler.set(row, PARAMS[(row + step) % rows], seed=100 * step + row, history=[row, 1])
                if step:
                    sampler.place(placed, torch.tensor(placed))
            placed = placed if step else list(range(rows))
        logits = torch.randn(parts * len(placed), recipe.vocabulary, generator=generator) * 3
        counts = torch.arange(len(placed)) + step % 4
        native, plain = (sampler(logits, counts) for sampler in samplers)
        assert native.tolist() == plain.tolist()
        for sampler in samplers:
            sampler.observe(plain, torch.arange(len(placed)) != 1)
    assert not samplers[0].broken.any()


def test_rows_that_break_are_told():
    """As torch's operators tell it, for the rows that are placed, and until they are set anew."""
    samplers = pair(SamplingRecipe(8, order=("temperature", "top_k")), 4)
    for sampler in samplers:
        sampler.place([3, 0, 2], torch.tensor([3, 0, 2]))
        logits = torch.zeros(3, 8)
        logits[0, 2], logits[2] = float("nan"), float("-inf")
        sampler(logits, torch.zeros(3, dtype=torch.int64))
    assert samplers[0].broken.tolist() == samplers[1].broken.tolist() == [False, False, True, True]
    samplers[0].set(3, SamplingParams(), 0)
    assert samplers[0].broken.tolist() == [False, False, True, False]


def test_recorded_noise_is_taken():
    """A slice for each draw, in order."""
    values = torch.full((3, 1, 5), 1e9)
    for at, token in enumerate((4, 0, 2)):
        values[at, 0, token] = 1e-9
    sampler = Sampler(SamplingRecipe(5), 1, noise=RecordedNoise(values), native=True)
    drawn = [int(sampler(torch.zeros(1, 5), torch.tensor([at]))) for at in range(3)]
    assert drawn == [4, 0, 2]


def test_logits_of_another_shape_are_refused():
    """By the error of every other sampler."""
    sampler = Sampler(SamplingRecipe(5), 2, native=True)
    with pytest.raises(InvalidOption, match="logits have the shape"):
        sampler(torch.zeros(2, 6), torch.zeros(2, dtype=torch.int64))
    with pytest.raises(AccelError, match="realtts-native failed") as caught:
        sampler(torch.zeros(2, 5), torch.zeros(3, dtype=torch.int64))
    assert "REALTTS_NATIVE=off" in caught.value.fix


def test_greedy_rows_take_no_noise():
    """The generator of a row stands where torch's stands."""
    for greedy in (True, False):
        samplers = pair(SamplingRecipe(12), 1)
        logits = torch.randn(1, 12, generator=torch.Generator().manual_seed(1))
        for sampler in samplers:
            sampler.set(0, SamplingParams(greedy=greedy), 5)
            sampler(logits, torch.zeros(1, dtype=torch.int64))
        states = [sampler.noise.generators[0].get_state() for sampler in samplers]
        assert torch.equal(*states)
