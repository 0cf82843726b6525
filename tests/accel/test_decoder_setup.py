"""Configuration, weights and cache of the decoder: what is read, and what is refused by name."""

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from families import HIDDEN, build  # noqa: E402

from realtts import CheckpointMismatch, DecoderError, QuantizationUnavailable  # noqa: E402
from realtts.accel.decoder import (  # noqa: E402
    Buckets,
    Decoder,
    DecoderConfig,
    KVCache,
    Precision,
    Rope,
    affordable_places,
    budget,
)


@pytest.fixture(scope="module")
def family():
    """The family with most tensors among those that rotate."""
    return build("qwen2")


@pytest.fixture(scope="module")
def gpt2():
    """The family with biases everywhere and no rotation."""
    return build("gpt2")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_type": "opt"}, "opt.*llama, qwen2, qwen3, gpt2"),
        ({"hidden_act": "gelu"}, "gelu"),
        ({"mlp_bias": True}, "mlp_bias"),
        ({"attention_bias": True}, "attention_bias"),
        ({"use_sliding_window": True}, "sliding"),
        ({"rope_parameters": {"rope_type": "yarn", "rope_theta": 1e4}}, "yarn"),
        ({"partial_rotary_factor": 0.5}, "partial_rotary_factor"),
        ({"num_key_value_heads": 3}, "3 kv_heads"),
        ({"num_hidden_layers": 0}, "layers is 0"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_the_decoder_lacks_is_refused(change, message):
    """A configuration with a feature that would be computed wrongly."""
    values = transformers.LlamaConfig(num_attention_heads=4, hidden_size=64).to_dict() | change
    with pytest.raises(DecoderError, match=message):
        DecoderConfig.from_transformers(values)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"activation_function": "relu"}, "activation_function is 'relu'"),
        ({"scale_attn_by_inverse_layer_idx": True}, "scale_attn_by_inverse_layer_idx"),
        ({"reorder_and_upcast_attn": True}, "reorder_and_upcast_attn"),
        ({"add_cross_attention": True}, "add_cross_attention"),
        ({"scale_attn_weights": False}, "scale_attn_weights"),
        ({"n_head": 3}, "heads times head_dim"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_the_decoder_lacks_of_gpt2_is_refused(change, message):
    """By the name of transformers' switch."""
    values = transformers.GPT2Config(n_embd=64, n_head=4).to_dict() | change
    with pytest.raises(DecoderError, match=message):
        DecoderConfig.from_transformers(values)
    with pytest.raises(CheckpointMismatch, match="n_layer is missing"):
        DecoderConfig.from_transformers({"model_type": "gpt2", "n_embd": 64})


def test_the_shape_of_gpt2():
    """The width inside the MLP is four times the other one, unless it is told."""
    found = DecoderConfig.from_transformers(transformers.GPT2Config(n_embd=64, n_head=4, n_layer=2))
    wanted = DecoderConfig(
        layers=2,
        hidden_size=64,
        heads=4,
        kv_heads=4,
        head_dim=16,
        mlp_size=256,
        norm_eps=1e-5,
        rope=None,
        family="gpt2",
    )
    assert found == wanted
    assert DecoderConfig.from_transformers(transformers.GPT2Config(n_inner=100)).mlp_size == 100
    with pytest.raises(DecoderError, match="rope=None"):
        DecoderConfig(layers=1, hidden_size=64, heads=4, kv_heads=4, head_dim=16, mlp_size=4, family="gpt2")


def test_rotary_parameters_of_transformers_4():
    """Older files keep theta and scaling at the top."""
    values = transformers.LlamaConfig(num_attention_heads=4, hidden_size=64).to_dict()
    del values["rope_parameters"]
    found = DecoderConfig.from_transformers({**values, "rope_theta": 5e5, "rope_scaling": None})
    assert found.rope == Rope(5e5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("model.layers.1.self_attn.k_proj.bias"), "missing.*layers.1.self_attn.k_proj.bias"),
        (lambda s: s.update({"model.layers.0.extra.weight": torch.zeros(1)}), "unexpected.*layers.0.extra.weight"),
        (
            lambda s: s.update({"model.norm.weight": torch.zeros(3)}),
            r"norm.weight has the shape \(3,\), expected \(64,\)",
        ),
    ],
    ids=["missing", "unexpected", "misshapen"],
)
def test_weights_that_do_not_fit_are_refused(family, change, message):
    """The tensor is named."""
    state = dict(family.state)
    change(state)
    with pytest.raises(CheckpointMismatch, match=message):
        Decoder.from_state_dict(family.config, state)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("transformer.h.1.mlp.c_fc.bias", "missing, the first is transformer.h.1.mlp.c_fc.bias"),
        ("transformer.ln_f.bias", "missing, the first is transformer.ln_f.bias"),
    ],
)
def test_weights_of_gpt2_that_do_not_fit_are_refused(gpt2, name, message):
    """Missing ones, and those of a linear layer that is stored as others store it."""
    state = dict(gpt2.state)
    del state[name]
    with pytest.raises(CheckpointMismatch, match=message):
        Decoder.from_state_dict(gpt2.config, state, prefix=gpt2.prefix)
    state = {**gpt2.state, "transformer.h.0.mlp.c_fc.weight": torch.zeros(256, 64)}
    with pytest.raises(CheckpointMismatch, match=r"c_fc.weight has the shape \(256, 64\), expected \(64, 256\)"):
        Decoder.from_state_dict(gpt2.config, state, prefix=gpt2.prefix)


def test_masks_in_old_checkpoints_of_gpt2_are_left_alone(gpt2):
    """They lie among the weights, under a bias's name."""
    state = {**gpt2.state, "transformer.h.0.attn.bias": torch.ones(1, 1, 8, 8)}
    state["transformer.h.0.attn.masked_bias"] = torch.tensor(-1e4)
    Decoder.from_state_dict(gpt2.config, state, prefix=gpt2.prefix)


@pytest.mark.parametrize("name", ["qwen2", "gpt2"])
@pytest.mark.parametrize(
    ("precision", "bound"), [("bf16", 0.03), ("int8", 0.06), ("int4", 0.6)], ids=["bf16", "int8", "int4"]
)
def test_teacher_forced_error_of_each_precision(request, name, precision, bound):
    """Relative error of the hidden states of 40 positions against float32, and that it is not zero."""
    family = request.getfixturevalue("gpt2" if name == "gpt2" else "family")
    x = torch.randn(2, 40, HIDDEN, generator=torch.Generator().manual_seed(1))

    def hidden(decoder):
        cache = decoder.new_cache(2, 64)
        with torch.inference_mode():
            found = [decoder.prefill(x[:, :8], cache)]
            found += [decoder.step(x[:, at], cache) for at in range(8, 40)]
        return torch.stack(found)

    exact = hidden(family.decoder())
    error = (hidden(family.decoder(precision=precision)) - exact).norm() / exact.norm()
    assert 1e-5 < error < bound


def test_precision_by_hand(family):
    """Each type of its own: int8 weights, bf16 activations, float32 cache."""
    decoder = family.decoder(precision=Precision("int8", torch.bfloat16, torch.float32))
    cache = decoder.new_cache(1, 16)
    assert cache.dtype == torch.float32
    with torch.inference_mode():
        assert decoder.prefill(torch.zeros(1, 4, HIDDEN), cache).dtype == torch.bfloat16


def test_unknown_precision_and_kernel(family):
    """Errors that list what there is, or name the switch."""
    with pytest.raises(DecoderError, match="int8, fp8, int4"):
        family.decoder(precision="int2")
    with pytest.raises(QuantizationUnavailable, match='quantization="none"'):
        family.decoder(precision="int8", kernel="none such")


def test_buckets():
    """The smallest that holds; the cap is the last one."""
    buckets = Buckets(cap=150, size=64)
    assert [buckets.holding(n) for n in (0, 1, 64, 65, 128, 129, 150)] == [64, 64, 64, 128, 128, 150, 150]
    assert buckets.all() == [64, 128, 150]
    assert [len(buckets.up_to(n)) for n in (0, 1, 64, 65, 128, 129, 150, 151)] == [1, 1, 1, 2, 2, 3, 3, 3]
    assert buckets.up_to(100) == [64, 128]
    with pytest.raises(ValueError, match="151"):
        buckets.holding(151)


def test_a_full_cache_is_an_error(family):
    """By step and by prompt, each before it writes."""
    decoder = family.decoder(rows=(1,))
    cache = decoder.new_cache(1, 4)
    with torch.inference_mode():
        decoder.prefill(torch.zeros(1, 3, HIDDEN), cache)
        with pytest.raises(DecoderError, match=r"2 positions after 3.*4 slots"):
            decoder.prefill(torch.zeros(1, 2, HIDDEN), cache)
        decoder.step(torch.zeros(1, HIDDEN), cache)
        with pytest.raises(DecoderError, match="all 4 slots"):
            decoder.step(torch.zeros(1, HIDDEN), cache)
    with pytest.raises(DecoderError, match="positions"):
        decoder.new_cache(1, 10_000)
    with pytest.raises(DecoderError, match="0 rows"):
        decoder.new_cache(0, 10)


def test_a_finished_row_is_replaced_while_the_others_go_on(family):
    """Reset and prefill of one row: neither it nor its neighbour sees the other."""
    x = torch.randn(3, 20, HIDDEN, generator=torch.Generator().manual_seed(2))
    decoder = family.decoder(rows=(2,))

    def alone(row, prompt):
        cache = decoder.new_cache(1, 64)
        found = [decoder.prefill(x[row : row + 1, :prompt], cache)]
        return [*found, *(decoder.step(x[row : row + 1, at], cache) for at in range(prompt, 20))]

    with torch.inference_mode():
        cache = decoder.new_cache(2, 64)
        decoder.prefill(x[:2, :10], cache)
        for at in range(10, 15):
            together = decoder.step(x[:2, at], cache)
        cache.reset([1])
        found = [decoder.prefill(x[2:, :6], cache, rows=[1])]
        torch.testing.assert_close(found[0], alone(2, 6)[0], atol=1e-5, rtol=0)
        for step in range(5):
            together = decoder.step(torch.stack([x[0, 15 + step], x[2, 6 + step]]), cache)
        torch.testing.assert_close(together[0], alone(0, 10)[10][0], atol=1e-5, rtol=0)
        torch.testing.assert_close(together[1], alone(2, 6)[5][0], atol=1e-5, rtol=0)


def test_frozen_rows_write_nothing_that_counts(family):
    """Slots, positions and validity of a frozen row stay; so does what it attends to."""
    decoder = family.decoder(rows=(2,))
    cache = decoder.new_cache(2, 32)
    with torch.inference_mode():
        decoder.prefill(torch.randn(2, 6, HIDDEN, generator=torch.Generator().manual_seed(1)), cache)
        kept = cache.layer(0)[:, 1, :, :6].clone()
        cache.active[1] = False
        for _ in range(30 - 6):
            decoder.step(torch.ones(2, HIDDEN), cache)
    assert cache.slots.tolist() == [30, 6]
    assert cache.positions.tolist() == [30, 6]
    assert cache.valid.sum(1).tolist() == [30, 6]
    assert torch.equal(cache.layer(0)[:, 1, :, :6], kept)
    assert not cache.layer(0)[:, 1, :, 6:32].any()


@pytest.mark.parametrize(("length", "ok"), [(0, False), (5, True), (6, False), (40, False)])
def test_prefixes_that_do_not_fit_are_refused(family, length, ok):
    """Longer than what is filled, or than the cache."""
    decoder = family.decoder(rows=(1,))
    source, target = decoder.new_cache(1, 32), decoder.new_cache(2, 16)
    with torch.inference_mode():
        decoder.prefill(torch.zeros(1, 5, HIDDEN), source)
    if ok:
        target.copy_prefix(source, 0, [0, 1], length)
        assert target.slots.tolist() == [5, 5]
    else:
        with pytest.raises(DecoderError, match="prefix"):
            target.copy_prefix(source, 0, [0, 1], length)


def test_memory_that_is_never_reached_is_never_written():
    """A large cap costs what is used of it, by each row for itself."""
    import psutil

    config = DecoderConfig(layers=8, hidden_size=64, heads=8, kv_heads=8, head_dim=64, mlp_size=64)
    before = psutil.Process().memory_info().rss
    cache = KVCache(config, 8, 16_384, dtype=torch.float32, device="cpu")
    cache.reach(64)
    cache.reach(2048, [3])  # of one row alone
    assert cache.bytes > 2**32
    assert psutil.Process().memory_info().rss - before < 2**27


def test_a_row_costs_the_memory_that_it_reaches():
    """Whatever the other rows reach; and what a row has reached is zero, of all rows at once as of one."""
    import psutil

    config = DecoderConfig(layers=4, hidden_size=64, heads=8, kv_heads=8, head_dim=64, mlp_size=64)
    before = psutil.Process().memory_info().rss
    cache = KVCache(config, 16, 4096, dtype=torch.float32, device="cpu")
    cache.reach(4096, [3])
    cache.reach(64, [0, 5])
    cache.reach(32, [3])
    assert cache.bytes > 2**30
    assert psutil.Process().memory_info().rss - before < cache.bytes / 8
    cache.reach(128)
    assert not cache._kv[:, :, :, :, :128].any()
    assert not cache._kv[:, :, 3, :, :4096].any()


@pytest.mark.parametrize(
    ("weights", "expected"),
    [("fp32", "float32"), ("bf16", "bfloat16"), ("fp16", "float16"), ("int8", "int8"), ("int4", "bfloat16")],
)
def test_the_type_whose_rate_bounds_the_products(weights, expected):
    """That of the weights, whatever the activations are; int4 is multiplied in bfloat16."""
    assert Precision(weights, torch.float32).products == expected


def test_bytes_of_a_step(family):
    """What the floor of a step counts: all weights of the layers, and the cache up to what is attended to."""
    for precision, width in (("fp32", 4), ("int8", 1)):
        decoder = family.decoder(precision=Precision(precision, torch.float32, torch.float32))
        weights = sum(t.numel() for n, t in family.state.items() if "proj.weight" in n)
        cache = decoder.new_cache(2, 63)
        assert decoder.bytes_read(cache, 32) == weights * width + cache.bytes // 2
        head = decoder.pack(torch.ones(64, decoder.config.hidden_size))
        flops, read = decoder.step_cost(head, cache)
        assert flops == 2 * 2 * (decoder.config.parameters + 64 * decoder.config.hidden_size)
        assert read == decoder.bytes_read(cache, cache.filled) + head.bytes_read


@pytest.mark.full  # by default: test_compile.test_it_really_compiles
@pytest.mark.parametrize("name", ["qwen2", "gpt2"])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch's own, while it imports its compiler
def test_compiled_steps_are_eager_steps(request, name):
    """Same hidden states, and one graph for each function, however many steps and slots there are."""
    family = request.getfixturevalue("gpt2" if name == "gpt2" else "family")
    from realtts.accel.compile import cpp_compiler, recompilations

    if cpp_compiler() is None:
        pytest.skip("no C++ compiler")
    decoder = family.decoder(rows=(2,))
    x = torch.randn(2, 60, HIDDEN, generator=torch.Generator().manual_seed(6))

    def hidden():
        cache = decoder.new_cache(2, 200)
        with torch.inference_mode():
            decoder.prefill(x[:, :20], cache)
            return torch.stack([decoder.step(x[:, at], cache) for at in range(20, 60)])

    eager = hidden()
    decoder.compile(fallback=False)
    torch.testing.assert_close(hidden(), eager, atol=1e-5, rtol=1e-5)
    counted = recompilations()
    torch.testing.assert_close(hidden(), eager, atol=1e-5, rtol=1e-5)
    assert recompilations() == counted


@pytest.mark.parametrize("name", ["qwen2", "gpt2"])
@pytest.mark.parametrize("precision", ["fp32", "bf16", "int8", "int4"])
def test_a_row_is_the_same_among_any_number_of_rows(request, name, precision):
    """One row alone, and the same beside seven others."""
    family = request.getfixturevalue("gpt2" if name == "gpt2" else "family")
    decoder = family.decoder(precision=precision, rows=(1, 8))
    x = torch.randn(8, 13, HIDDEN, generator=torch.Generator().manual_seed(3))
    found = []
    with torch.inference_mode():
        for rows in (1, 8):
            cache = decoder.new_cache(rows, 32)
            decoder.prefill(x[:rows, :12], cache)
            found.append(decoder.step(x[:rows, 12], cache)[0])
    torch.testing.assert_close(found[0], found[1], atol=1e-4, rtol=1e-4)


def test_a_prefix_keeps_its_positions(family):
    """What comes after a copied prefix is rotated as in the original, with positions given and with padding."""
    decoder = family.decoder(rows=(1,))
    x = torch.randn(1, 8, HIDDEN, generator=torch.Generator().manual_seed(4))
    positions = torch.arange(10, 18)[None]
    with torch.inference_mode():
        source, target = decoder.new_cache(1, 32), decoder.new_cache(2, 32)
        decoder.prefill(x[:, :6], source, positions=positions[:, :6])
        target.copy_prefix(source, 0, [1], 4)
        assert target.positions.tolist() == [0, 14]
        target.copy_prefix(source, 0, [1], 6)
        assert target.positions.tolist() == [0, 16]
        found = decoder.prefill(x[:, 6:], target, rows=[1])
        expected = decoder.prefill(x[:, 6:], source)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


def test_a_row_goes_back_to_its_own_beginning(family):
    """What stood behind the prefix is forgotten, by steps and prompts."""
    decoder = family.decoder(rows=(1,))
    x = torch.randn(1, 12, HIDDEN, generator=torch.Generator().manual_seed(5))
    with torch.inference_mode():
        used, fresh = decoder.new_cache(1, 32), decoder.new_cache(1, 32)
        decoder.prefill(x, used)
        used.copy_prefix(used, 0, [0], 4)
        decoder.prefill(x[:, :4], fresh)
        for at in (10, 5):
            expected = decoder.step(x[:, at], fresh, attended=32)
            torch.testing.assert_close(decoder.step(x[:, at], used, attended=32), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", ["llama", "qwen2", "gpt2"])
def test_parameters_are_those_of_the_matrices(name):
    """Biases and norms are not among them."""
    built = build(name)
    layers = [tensor for key, tensor in built.state.items() if key.startswith((f"{built.prefix}layers.", "h.")) or
              ".h." in key]  # fmt: skip
    assert built.config.parameters == sum(tensor.numel() for tensor in layers if tensor.dim() == 2)


@pytest.mark.parametrize(("row", "rows", "message"), [(1, [0], "row 1"), (-1, [0], "row -1"), (0, [2], r"rows \[2\]")])
def test_prefix_rows_must_exist(family, row, rows, message):
    """By number, from zero."""
    decoder = family.decoder(rows=(1,))
    source, target = decoder.new_cache(1, 32), decoder.new_cache(2, 32)
    with torch.inference_mode():
        decoder.prefill(torch.zeros(1, 5, HIDDEN), source)
    with pytest.raises(DecoderError, match=message):
        target.copy_prefix(source, row, rows, 5)
    other = build("llama").decoder(rows=(1,)).new_cache(1, 32)
    other.used = [5]
    if other.layer(0).shape[-1] != target.layer(0).shape[-1]:
        with pytest.raises(DecoderError, match="another decoder"):
            target.copy_prefix(other, 0, [0], 5)


@pytest.mark.parametrize("rows", [[], [0, 0], [2], [-1]], ids=str)
def test_prompt_rows_must_exist_once(family, rows):
    """Two prompts for one row would overwrite each other."""
    decoder = family.decoder(rows=(1,))
    with pytest.raises(DecoderError, match="rows are"):
        decoder.prefill(torch.zeros(max(len(rows), 1), 4, HIDDEN), decoder.new_cache(2, 16), rows=rows)


def test_incomplete_configurations_are_refused():
    """The missing value is named."""
    with pytest.raises(CheckpointMismatch, match="hidden_size is missing"):
        DecoderConfig.from_transformers({"model_type": "llama"})
    values = transformers.LlamaConfig(num_attention_heads=4, hidden_size=64).to_dict()
    with pytest.raises(CheckpointMismatch, match=r"llama3.*without factor"):
        DecoderConfig.from_transformers({**values, "rope_parameters": {"rope_type": "llama3", "rope_theta": 1e4}})
    with pytest.raises(DecoderError, match="buckets"):
        Buckets(100, 0)


def test_a_cache_made_in_inference_mode_can_be_used_outside_it(family):
    """Reset is an ordinary write."""
    with torch.inference_mode():
        cache = family.decoder(rows=(1,)).new_cache(1, 8)
    cache.reset()
    cache.reset([0])
    assert cache.used == [0]


def test_masks_on_a_device_are_not_read(family):
    """Their shapes are checked, what they hold is not: a look would wait for all that the device has to do."""
    decoder = family.decoder(rows=(1,))
    cache = decoder.new_cache(1, 8)
    x = torch.zeros(1, 3, HIDDEN)
    elsewhere = torch.device("meta")  # whose tensors hold nothing that could be read
    valid = torch.ones(1, 3, dtype=torch.bool, device=elsewhere)
    positions = torch.zeros(1, 3, dtype=torch.int64, device=elsewhere)
    decoder.check_prompt(x, cache, valid=valid, positions=positions)
    with pytest.raises(DecoderError, match="valid has the shape"):
        decoder.check_prompt(x, cache, valid=valid[:, 1:], positions=positions)


@pytest.mark.parametrize("precision", ["fp32", "bf16", "int8", "int4"])
def test_neighbours_do_not_matter_at_any_precision(family, precision):
    """A row's hidden state is the same beside quiet, loud and absent neighbours, up to float32 noise."""
    decoder, found = family.decoder(precision=precision, rows=(4,)), []

    def noise(rows, n, seed):
        return torch.randn(rows, n, HIDDEN, generator=torch.Generator().manual_seed(seed))

    with torch.inference_mode():
        for seed, loudness in ((1, 1.0), (2, 1.0), (3, 100.0), (4, 0.0)):
            x, step = noise(4, 12, seed) * loudness, noise(4, 1, seed + 50)[:, 0] * loudness
            x[2], step[2] = noise(1, 12, 77)[0], noise(1, 1, 78)[0, 0]
            cache = decoder.new_cache(4, 32)
            decoder.prefill(x, cache)
            found.append(decoder.step(step, cache)[2])
    for other in found[1:]:
        torch.testing.assert_close(other, found[0], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("room", "per_place", "places"), [(10**9, 1, 8), (5.5, 1, 4), (5.5, 2, 1), (0, 1, 1), (9.01, 1, 8), (8.99, 1, 7)]
)
def test_places_are_as_many_as_the_memory_holds(family, monkeypatch, room, per_place, places):
    """With the spare one; one at least, which the allocation then refuses by its own error."""
    decoder = family.decoder(precision="fp32")
    one = KVCache(decoder.config, 1, 100, dtype=decoder.kv_dtype, device="cpu").bytes
    monkeypatch.setattr(budget, "cache_room", lambda _: int(room * one))
    assert affordable_places(decoder, 8, slots=100, per_place=per_place) == places


def test_room_for_keys_and_values():
    """Half of the memory of the machine."""
    psutil = pytest.importorskip("psutil")
    assert budget.cache_room(torch.device("cpu")) == psutil.virtual_memory().total // 2
