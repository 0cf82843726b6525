"""Codes of a frame in one call: those of steps, heads and torch's sampler in turn."""

import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
realtts_native = pytest.importorskip("realtts_native")
if realtts_native.usable():
    pytest.skip(str(realtts_native.usable()), allow_module_level=True)

sys.path.insert(0, str(Path(__file__).parent))

from toolkit_decoders import FAMILIES, LLAMA, make, native, noise  # noqa: E402

from realtts import AccelError  # noqa: E402
from realtts.accel.decoder import Decoder  # noqa: E402
from realtts.accel.decoder.native_codes import NativeCodes  # noqa: E402
from realtts.accel.sampling import Sampler, SamplingParams, SamplingRecipe  # noqa: E402

CODES, GROUPS = 53, 6
RECIPE = SamplingRecipe(CODES, order=("temperature", "top_k", "top_p"))
PARAMS = [
    SamplingParams(temperature=0.9, top_k=20),
    SamplingParams(greedy=True),
    SamplingParams(top_p=0.8),
    SamplingParams(temperature=1.2, top_k=3, top_p=0.9),
]


@pytest.fixture(autouse=True)
def _inference():
    """As the ladder runs."""
    with torch.inference_mode():
        yield


class Model:
    """A random predictor of codes: parts, and both ways of drawing with them."""

    def __init__(self, config, weights, *, width=None, dtype=torch.float32, rows=4):
        self.decoder, self.rows = make(config, native(weights)), rows
        self.width = width or config.hidden_size
        self.heads = [self.decoder.pack(noise(CODES, config.hidden_size, seed=at) * 0.4) for at in range(GROUPS - 1)]
        self.first = noise(2 * CODES, self.width, seed=20).to(dtype)
        self.others = noise(GROUPS - 1, CODES, self.width, seed=21).to(dtype)
        self.projection = self.decoder.pack(noise(config.hidden_size, self.width, seed=22) * 0.2) if width else None

    def sampler(self, *, native):
        """A sampler of all rows, each with parameters and a seed of its own."""
        sampler = Sampler(RECIPE, self.rows, native=native)
        for row in range(self.rows):
            sampler.set(row, PARAMS[row % len(PARAMS)], seed=50 + row)
        return sampler

    def native(self, sampler):
        """What draws in one call."""
        return NativeCodes.of(
            self.decoder, self.heads, sampler, first=self.first, others=self.others, projection=self.projection
        )

    def projected(self, x):
        """The decoder's inputs."""
        return x if self.projection is None else self.projection(x)

    def in_turn(self, sampler, hidden, first, step):
        """Draw by prompt, heads, sampler and steps."""
        n, cache = len(first), self.decoder.new_cache(len(first), GROUPS)
        codes, embedded = [first], [self.first[first].float()]
        x = torch.stack([hidden, embedded[0]], 1)
        state = self.decoder.prefill(self.projected(x.flatten(0, 1)).view(n, 2, -1), cache)
        for group, head in enumerate(self.heads):
            codes.append(sampler(head(state), step))
            embedded.append(self.others[group][codes[-1]].float())
            if group + 2 < GROUPS:
                state = self.decoder.step(self.projected(embedded[-1]), cache)
        return torch.stack(codes, 1), torch.stack(embedded, 1)


@pytest.mark.parametrize("weights", ["int8", "int4"])
@pytest.mark.parametrize(
    ("family", "width", "dtype"),
    [
        ("qwen3", None, torch.bfloat16),
        ("qwen3", 40, torch.float32),
        ("llama", 96, torch.float16),
        ("gpt2", None, torch.float32),
    ],
)
def test_codes_are_those_of_the_parts(weights, family, width, dtype):
    """Frames of rows that come and go: codes, embeddings to the bit, and generators that have moved on alike."""
    model = Model(FAMILIES[family], weights, width=width, dtype=dtype)
    native, plain = model.sampler(native=True), model.sampler(native=False)
    draw = model.native(native)
    for at, rows in enumerate([[0, 1, 2, 3], [2], [3, 0], [1], [1, 2, 0]]):
        for sampler in (native, plain):
            sampler.place(rows, torch.tensor(rows))
        n = len(rows)
        hidden, first = noise(n, model.width, seed=at), torch.arange(n) * 7 + at
        cache = model.decoder.new_cache(n, GROUPS)
        for step in range(3):
            steps = torch.full((n,), step)
            codes, embedded = draw(hidden, first, steps, cache)  # the cache is used again
            wanted = model.in_turn(plain, hidden, first, steps)
            assert codes.tolist() == wanted[0].tolist()
            assert torch.equal(embedded, wanted[1])
            first, hidden = codes[:, 3], embedded.sum(1)
    assert not native.broken.any()


def test_a_row_is_the_same_beside_others():
    """Codes of a row in a batch, and alone."""
    model = Model(LLAMA, "int8")
    hidden, first, step = noise(4, model.width), torch.tensor([5, 6, 7, 8]), torch.zeros(4, dtype=torch.int64)
    together = model.native(model.sampler(native=True))(hidden, first, step, model.decoder.new_cache(4, GROUPS))
    for row in range(4):
        sampler = model.sampler(native=True)
        draw = model.native(sampler)
        sampler.place([row], torch.tensor([row]))
        part = slice(row, row + 1)
        alone = draw(hidden[part], first[part], step[part], model.decoder.new_cache(1, GROUPS))
        assert alone[0].tolist() == together[0][part].tolist()
        assert torch.equal(alone[1], together[1][part])


def test_rows_that_break_are_told():
    """In their own place, and no others."""
    model = Model(LLAMA, "int8")
    sampler = model.sampler(native=True)
    draw = model.native(sampler)
    sampler.place([3, 1], torch.tensor([3, 1]))
    hidden = noise(2, model.width)
    hidden[0, 4] = float("nan")
    draw(hidden, torch.tensor([1, 2]), torch.zeros(2, dtype=torch.int64), model.decoder.new_cache(2, GROUPS))
    assert sampler.broken.tolist() == [False, False, False, True]


def test_what_does_not_fit_is_a_typed_error():
    """A code that no table has, and a cache of other rows or too few slots."""
    model = Model(LLAMA, "int8", rows=2)
    draw, step = model.native(model.sampler(native=True)), torch.zeros(2, dtype=torch.int64)
    hidden, first = noise(2, model.width), torch.tensor([1, 2])
    for codes, cache in [
        (torch.tensor([1, 2 * CODES]), model.decoder.new_cache(2, GROUPS)),
        (torch.tensor([-1, 2]), model.decoder.new_cache(2, GROUPS)),
        (first, model.decoder.new_cache(3, GROUPS)),
        (first, model.decoder.new_cache(2, GROUPS - 1)),
    ]:
        with pytest.raises(AccelError, match="realtts-native failed"):
            draw(hidden, codes, step, cache)


def test_only_where_all_is_native():
    """Not beside torch's sampler, torch's decoder or torch's heads."""
    model = Model(LLAMA, "int8")
    assert model.native(model.sampler(native=False)) is None
    model.decoder = make(LLAMA)
    assert model.native(model.sampler(native=True)) is None


@pytest.mark.parametrize("weights", ["int8", "int4"])
def test_a_talker_draws_the_same_frames(weights, tmp_path, monkeypatch):
    """Qwen3's, in one call and by torch's sampler over the same steps, alone and beside others."""
    pytest.importorskip("realtts_qwen3")
    from realtts.contract.spec import Checkpoint
    from realtts_qwen3 import loading
    from realtts_qwen3.network import Talker
    from realtts_qwen3.testing import write_random_checkpoint
    from realtts_qwen3.utterance import Utterance

    write_random_checkpoint(tmp_path / "model")
    opened = loading.open_checkpoint(loading.fetch(Checkpoint(name="0.6b-custom-voice", path=tmp_path / "model")))
    sizes, reader = opened.sizes, opened.reader
    draws = [
        (SamplingParams(temperature=0.9, top_k=50, repetition_penalty=1.05), SamplingParams(0.9, 50)),
        (SamplingParams(greedy=True), SamplingParams(temperature=1.1, top_p=0.8)),
        (SamplingParams(temperature=0.7, top_k=20, top_p=0.9), SamplingParams(greedy=True)),
        (SamplingParams(greedy=True, repetition_penalty=1.2), SamplingParams(greedy=True)),
        (SamplingParams(temperature=1.3), SamplingParams(temperature=1.2, top_k=5, top_p=0.95)),
    ]
    requests = [
        Utterance(
            role=reader.role, text=reader.ids("the wind and me"[: 3 + 2 * number]), seed=9 + number, max_frames=6,
            speaker=next(iter(sizes.speakers.values())), talker=talker, predictor=predictor, forced=number == 2,
        )
        for number, (talker, predictor) in enumerate(draws)
    ]  # fmt: skip

    def frames(talker, utterances):
        rows = [[] for _ in utterances]
        for block in talker.decode(utterances):
            rows[block.number] += block.outputs.tolist()
        return rows

    def talker():
        return Talker.from_state_dict(sizes, opened.states.talker, precision=native(weights), places=5)

    one_call = talker()
    together = frames(one_call, requests)
    assert [frames(one_call, [request])[0] for request in requests] == together
    monkeypatch.setattr(Decoder, "native", None)
    assert frames(talker(), requests) == together
    assert sum(map(len, together)) > 20
