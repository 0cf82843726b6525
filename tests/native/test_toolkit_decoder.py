"""The toolkit's decoder over realtts-native: as near to float32 as torch's kernels; a row alone is as beside others."""

import random
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
realtts_native = pytest.importorskip("realtts_native")
if realtts_native.usable():
    pytest.skip(str(realtts_native.usable()), allow_module_level=True)

sys.path.insert(0, str(Path(__file__).parent))

from toolkit_decoders import FAMILIES, LLAMA, VOCABULARY, head_of, make, native, noise  # noqa: E402

from realtts import AccelError, DecoderError, QuantizationUnavailable  # noqa: E402
from realtts.accel.decoder import Admission, Decoder, RowLoop, Taps  # noqa: E402
from realtts.accel.decoder.prefixes import Prefixes  # noqa: E402
from realtts.accel.kernels import PackedLinear, choose_kernel  # noqa: E402
from realtts.accel.sampling import HashedNoise, Sampler, SamplingParams, SamplingRecipe  # noqa: E402

BOUNDS = {"int8": 0.06, "int4": 0.6, "bf16": 0.03}
"""Of hidden states, relative to float32's; those of torch's kernels in the decoder's own tests."""


@pytest.fixture(scope="module", autouse=True)
def _inference():
    """As the ladder runs."""
    with torch.inference_mode():
        yield


@pytest.fixture(scope="module", params=FAMILIES)
def config(request):
    """Each family, and odd sizes."""
    return FAMILIES[request.param]


def stepped(decoder, inputs, *, prompt=9, taps=None, cap=64):
    """Hidden states (rows, steps, hidden) of forced steps behind a prompt."""
    rows = len(inputs)
    cache = decoder.new_cache(rows, cap)
    decoder.prefill(inputs[:, :prompt], cache)
    return torch.stack([decoder.step(x, cache, taps=taps) for x in inputs[:, prompt:].unbind(1)], 1), cache


def error(found, exact):
    """Relative to the exact one."""
    return float((found - exact).norm() / exact.norm())


@pytest.mark.parametrize("weights", BOUNDS)
def test_steps_are_near_float32(config, weights):
    """Prompt and twenty steps of three rows."""
    inputs = noise(3, 29, config.hidden_size)
    found, cache = stepped(make(config, native(weights)), inputs)
    exact, plain = stepped(make(config), inputs)
    assert error(found, exact) < BOUNDS[weights]
    assert torch.equal(cache.slots, plain.slots)
    assert torch.equal(cache.positions, plain.positions)
    assert torch.equal(cache.valid[:, :-1], plain.valid[:, :-1])
    assert torch.equal(cache.rotations[:, :29], plain.rotations[:, :29])


@pytest.mark.parametrize("weights", ["int8", "int4"])
@pytest.mark.parametrize("rows", [1, 2, 8, 12])
def test_a_row_is_the_same_to_the_bit_beside_any_others(weights, rows):
    """Hidden states and logits; its neighbours are loud, silent or frozen."""
    config = FAMILIES["qwen3"]
    decoder = make(config, native(weights))
    head = decoder.pack(head_of(config))
    inputs = noise(12, 20, config.hidden_size)
    inputs[1] *= 100
    inputs[2] = 0
    alone = [stepped(decoder, inputs[row : row + 1])[0][0] for row in range(rows)]
    beside, _ = stepped(decoder, inputs[:rows])
    for row in range(rows):
        assert torch.equal(beside[row], alone[row])
        assert torch.equal(head(beside[row]), head(alone[row]))
        assert torch.equal(head(beside[row, :1]), head(alone[row])[:1])


def test_frozen_rows_change_nothing_that_counts():
    """Their keys, slots and positions stay, and the others go on as without them."""
    decoder = make(LLAMA, native("int8"))
    inputs = noise(3, 14, LLAMA.hidden_size)
    expected, _ = stepped(decoder, inputs)
    cache = decoder.new_cache(3, 64)
    decoder.prefill(inputs[:, :9], cache)
    cache.active[1] = False
    stored = cache.stored[:, :, 1, :, :-1].clone()
    found = torch.stack([decoder.step(x, cache) for x in inputs[:, 9:].unbind(1)], 1)
    assert torch.equal(found[[0, 2]], expected[[0, 2]])
    assert torch.equal(cache.stored[:, :, 1, :, :-1], stored)
    assert cache.slots.tolist() == [14, 9, 14]
    cache.active[1] = True
    assert torch.equal(decoder.step(inputs[:, 9], cache)[1], expected[1, 0])


@pytest.mark.parametrize("weights", ["int8", "int4"])
@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_changes_nothing(weights, side):
    """Prompts of different lengths, padded on either side with noise."""
    config = FAMILIES["qwen2"]
    decoder, lengths = make(config, native(weights)), [5, 20, 11]
    inputs, steps = noise(3, 20, config.hidden_size), noise(3, 6, config.hidden_size, seed=1)
    valid = torch.zeros(3, 20, dtype=torch.bool)
    for row, n in enumerate(lengths):
        valid[row, slice(20 - n, None) if side == "left" else slice(n)] = True
    cache = decoder.new_cache(3, 40)
    decoder.prefill(inputs, cache, valid=valid)
    found = torch.stack([decoder.step(x, cache) for x in steps.unbind(1)], 1)
    for row in range(3):
        whole = torch.cat([inputs[row][valid[row]], steps[row]])[None]
        alone, _ = stepped(decoder, whole, prompt=lengths[row])
        assert error(found[row], alone[0]) < 0.02  # sums over a padded prompt are taken in another order


def test_taps_show_where_rows_look(config):
    """Within the rounding of the weights, normalized, and nothing beyond what there is."""
    taps = [Taps([(0, 1), (config.layers - 1, 0)], rows=2, cap=64) for _ in range(2)]
    inputs = noise(2, 15, config.hidden_size)
    for each, precision in zip(taps, (native("int8"), "fp32"), strict=True):
        stepped(make(config, precision), inputs, taps=each)
    assert (taps[0].step - taps[1].step).abs().max() < 0.05
    torch.testing.assert_close(taps[0].step[..., :15].sum(-1), torch.ones(2, 2))
    assert not taps[0].step[..., 15:].any()


def test_a_prefix_is_a_copy():
    """A row that goes on behind a copy is as one that goes on behind what was read, whoever else is there."""
    decoder = make(LLAMA, native("int4"))
    prompt = noise(30, LLAMA.hidden_size)
    prefixes = Prefixes(decoder, 16)
    source, length = prefixes.of(prompt, 20)
    steps = noise(4, LLAMA.hidden_size, seed=3)

    def behind(rows):
        cache = decoder.new_cache(rows, 40)
        cache.copy_prefix(source, 0, list(range(rows)), length)
        decoder.prefill(prompt[None, length:], cache, rows=[rows - 1])
        for row in range(rows - 1):
            decoder.prefill(noise(1, 5, LLAMA.hidden_size, seed=row), cache, rows=[row])
        return torch.stack([decoder.step(x.expand(rows, -1), cache)[-1] for x in steps])

    assert torch.equal(behind(1), behind(4))


# -- loops ------------------------------------------------------------------------------------------------------------


def loop_of(decoder, *, guided=False, **options):
    """A loop of four places."""
    embedding = noise(VOCABULARY, decoder.config.hidden_size, seed=9)
    order = ("guidance", "temperature", "top_p") if guided else ("repetition_penalty", "temperature", "top_k")
    return RowLoop(
        decoder,
        decoder.pack(head_of(decoder.config)),
        lambda tokens, _step, _state: embedding[tokens].repeat(2 if guided else 1, 1),
        SamplingRecipe(VOCABULARY, order=order, stop_tokens=(7, 20)),
        **{"cap": 96, "places": 4, "chunk": 8, **options},
    )


def admission_of(number, width, *, guided=False):
    """A request whose prompt, sampling, seed and length are all its own."""
    draw = random.Random(number)
    params = SamplingParams(
        temperature=draw.choice([0.6, 1.0]), top_k=draw.choice([0, 9]), guidance=0.5 if guided else 0.0,
        repetition_penalty=draw.choice([1.0, 1.2]), greedy=draw.random() < 0.2,
    )  # fmt: skip
    prompt = noise(2 if guided else 1, draw.randint(1, 25), width, seed=number)
    return Admission(prompt, params, seed=100 + number, most=draw.randint(1, 30))


def served(loop, numbers, *, seed=0, cancelled=(), guided=False):
    """Tokens of requests that join at random times; some are cancelled after three."""
    draw, waiting, found = random.Random(seed), list(numbers), {number: [] for number in numbers}
    while waiting or loop.busy:
        while waiting and loop.free and draw.random() < 0.6:
            number = waiting.pop(0)
            loop.admit(number, admission_of(number, loop.decoder.config.hidden_size, guided=guided))
        for block in loop.step():
            assert block.error is None
            found[block.number].extend(block.tokens)
            if block.end or (block.number in cancelled and len(found[block.number]) >= 3):
                loop.release(block.number)
    return found


@pytest.mark.parametrize("guided", [False, True], ids=["plain", "guided"])
@pytest.mark.parametrize("weights", ["int8", "int4"])
def test_rows_that_join_and_leave_are_as_alone(weights, guided):
    """Sixteen requests in four places, every fifth cancelled."""
    config = FAMILIES["qwen3"]
    decoder = make(config, native(weights))
    loop = loop_of(decoder, guided=guided)
    numbers, cancelled = range(16), range(0, 16, 5)
    found = served(loop, numbers, cancelled=cancelled, guided=guided)
    for number in numbers:
        (alone,) = served(loop, [number], guided=guided).values()
        assert found[number] == alone[: len(found[number])]
        assert number in cancelled or found[number] == alone
    assert sum(map(len, found.values())) > 60


def test_a_row_that_is_not_finite_is_told_and_harms_nobody():
    """A prompt with NaN, and then another request in its place."""
    decoder = make(LLAMA, native("int8"))
    loop, width = loop_of(decoder), LLAMA.hidden_size
    expected = served(loop, [1, 2])
    bad = noise(1, 6, width)
    bad[0, -1, 3] = float("nan")
    loop.admit(50, Admission(bad, SamplingParams(), seed=1, most=5))
    loop.admit(1, admission_of(1, width))
    ends, found = {}, []
    while loop.busy:
        for block in loop.step():
            found += block.tokens if block.number == 1 else ()
            if block.end:
                ends[block.number] = block.end
                loop.release(block.number)
    assert ends[50] == "broken"
    assert found == expected[1]
    assert served(loop, [2])[2] == expected[2]


def test_tokens_are_those_of_torchs_sampler():
    """On the logits of native steps: the loop's tokens are drawn by the rules of every other precision."""
    decoder = make(LLAMA, native("int8"))
    loop = loop_of(decoder, noise=HashedNoise(5, torch.device("cpu")))
    found = served(loop, range(5))
    head, embedding = decoder.pack(head_of(LLAMA)), noise(VOCABULARY, LLAMA.hidden_size, seed=9)
    for number, tokens in found.items():
        request = admission_of(number, LLAMA.hidden_size)
        recipe = SamplingRecipe(VOCABULARY, order=("repetition_penalty", "temperature", "top_k"), stop_tokens=(7, 20))
        sampler = Sampler(recipe, 1, noise=HashedNoise(1, torch.device("cpu")))
        sampler.set(0, request.params, request.seed)
        cache = decoder.new_cache(1, 96)
        for part in request.prompt.split(8, dim=1):
            hidden = decoder.prefill(part, cache)
        for at, token in enumerate(tokens):
            drawn = sampler(head(hidden), torch.tensor([at]))
            assert drawn.tolist() == [token]
            sampler.observe(drawn, torch.ones(1, dtype=torch.bool))
            hidden = decoder.step(embedding[drawn], cache)


# -- faults, and what is shown -----------------------------------------------------------------------------------------


def test_a_step_that_is_refused_is_a_typed_error():
    """With the setting that spares it."""
    decoder = make(LLAMA, native("int8"))
    with pytest.raises(AccelError, match="realtts-native failed") as caught:
        decoder.step(noise(2, LLAMA.hidden_size + 1), decoder.new_cache(2, 8))
    assert "REALTTS_NATIVE=off" in caught.value.fix
    cache = decoder.new_cache(1, 2)
    for _ in range(2):
        decoder.step(noise(1, LLAMA.hidden_size), cache)
    with pytest.raises(DecoderError, match="all 2 slots are used"):
        decoder.step(noise(1, LLAMA.hidden_size), cache)


def test_facts_and_bytes():
    """What the status shows, and what the bound by memory bandwidth is computed from."""
    decoder, plain = make(LLAMA, native("int8")), make(LLAMA)
    assert decoder.kernel.name == "native"
    assert decoder.kv_dtype == torch.float16
    assert decoder.step_facts["threads"] == torch.get_num_threads()
    assert decoder.step_facts["instructions"] in realtts_native.features()
    cache = decoder.new_cache(1, 8)
    assert LLAMA.parameters < decoder.bytes_read(cache, 0) < plain.bytes_read(cache, 0) / 3
    assert plain.step_facts == {}


@pytest.mark.parametrize("inputs", [32, 64, 96, 100, 4096])
@pytest.mark.parametrize("weights", ["int8", "int4", "bf16"])
def test_products_beside_the_decoder(weights, inputs):
    """Heads and projections of any size, with a bias, and float32 out of whatever comes in."""
    weight, bias, x = noise(70, inputs, seed=2), noise(70, seed=3), noise(5, inputs, seed=4)
    linear = PackedLinear(weight, bias, choose_kernel([weight], weights, native=True))
    exact = x @ weight.T + bias
    found = linear(x)
    assert found.dtype == torch.float32
    assert error(found, exact) < {"int8": 0.015, "int4": 0.13, "bf16": 4e-3}[weights]
    assert torch.equal(linear(x[3:4]), found[3:4])
    assert error(linear(x.bfloat16()), exact) < 0.2


def test_memory_is_given_back():
    """Nothing refers to a decoder or a cache that is gone."""
    import gc
    import weakref

    decoder = make(LLAMA, native("int8"))
    cache = decoder.new_cache(1, 8)
    decoder.step(noise(1, LLAMA.hidden_size), cache)
    gone = weakref.ref(cache), weakref.ref(decoder)
    del cache
    gc.collect()
    assert gone[0]() is None
    assert isinstance(gone[1](), Decoder)
    del decoder
    gc.collect()
    assert gone[1]() is None


@pytest.mark.parametrize("weights", ["int8", "int4"])
@pytest.mark.parametrize("shape", [(70, 64), (16, 32), (128, 96), (33, 100), (97, 160)])
@pytest.mark.parametrize("biased", [False, True])
def test_a_stored_weight_is_the_packed_one(weights, shape, biased):
    """Bit for bit, whether it is of one part or of two, with its bias, and without what was stored."""
    weight, bias = noise(*shape, seed=5), noise(shape[0], seed=6) if biased else None
    kernel = choose_kernel([weight], weights, native=True)
    x = noise(3, shape[1], seed=7)
    for own in (kernel, *([kernel.in_parts(2)] if shape[0] % 2 == 0 and not biased else [])):
        tensors = PackedLinear.dump(weight, bias, own)
        loaded, expected = PackedLinear.load(tensors, own), PackedLinear(weight, bias, own)(x)
        tensors["weight.bytes"].zero_()  # what was loaded is apart from it
        assert torch.equal(loaded(x), expected)
        assert own.storage.layout.endswith(str(own.storage.parts))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_weight_that_is_not_finite_is_refused(value):
    """By the error of every other quantization."""
    weight = noise(32, 64)
    weight[3, 4] = value
    with pytest.raises(QuantizationUnavailable):
        PackedLinear(weight, None, choose_kernel([noise(32, 64)], "int8", native=True))


@pytest.mark.parametrize("weights", ["int8", "int4"])
@pytest.mark.parametrize("length", [1, 2, 5, 8])
def test_a_short_prompt_is_as_steps(config, weights, length):
    """To the bit, of several rows, some of them, and behind others; slots and positions are as after steps."""
    decoder = make(config, native(weights))
    x = noise(3, length, config.hidden_size, seed=length)
    caches = [decoder.new_cache(3, 32) for _ in range(3)]
    for cache in caches:
        decoder.prefill(noise(3, 12, config.hidden_size, seed=1), cache)
    whole = decoder.prefill(x, caches[0], every=True)
    steps = torch.stack([decoder.step(each, caches[1]) for each in x.unbind(1)], 1)
    caches[2].active[1] = False  # another row that has ended changes nothing
    some = decoder.prefill(x[[2, 0]], caches[2], rows=[2, 0])
    assert torch.equal(whole, steps)
    assert torch.equal(some, whole[[2, 0], -1])
    assert torch.equal(caches[0].slots, caches[1].slots)
    assert torch.equal(caches[0].positions, caches[1].positions)
    assert torch.equal(caches[0].valid, caches[1].valid)
    assert caches[0].used == caches[1].used
    assert caches[2].slots.tolist() == [12 + length, 12, 12 + length]
