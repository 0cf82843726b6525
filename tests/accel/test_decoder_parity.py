"""In float32 the decoder gives what transformers gives: the same tokens, and logits within 1e-4."""

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from families import FAMILIES, HIDDEN, VOCABULARY, build  # noqa: E402

from realtts.accel.decoder import Admission, RowLoop, Taps  # noqa: E402
from realtts.accel.sampling import SamplingParams, SamplingRecipe  # noqa: E402
from realtts.testing.recording import RecordingGraphs  # noqa: E402

STEPS = 100
"""Over the border of a bucket of the attended length."""


@pytest.fixture(scope="module", params=FAMILIES)
def family(request):
    """A random model of each family."""
    return build(request.param)


def greedy_reference(family, prompts, tokens):
    """Tokens (rows, steps) and logits (rows, steps, vocabulary) of transformers, each row decoded alone.

    Greedy decoding is what it chooses after every beginning of what was spoken: all of them in one pass.
    """
    logits = []
    for prompt, row in zip(prompts, torch.tensor(tokens), strict=True):
        with torch.inference_mode():
            whole = family.reference(input_ids=torch.cat([prompt, row[:-1]])[None], use_cache=False).logits[0]
        logits.append(whole[len(prompt) - 1 :])
    return torch.stack(logits).argmax(-1).tolist(), torch.stack(logits)


def prompts_of(lengths, seed=3):
    """Random token ids of given lengths."""
    generator = torch.Generator().manual_seed(seed)
    return [torch.randint(VOCABULARY, (n,), generator=generator) for n in lengths]


def padded(family, prompts, side):
    """Embeddings and validity of prompts of different lengths; the padding is noise, which must not matter."""
    longest = max(map(len, prompts))
    x = torch.randn(len(prompts), longest, HIDDEN, generator=torch.Generator().manual_seed(9))
    valid = torch.zeros(len(prompts), longest, dtype=torch.bool)
    for row, prompt in enumerate(prompts):
        place = slice(longest - len(prompt), None) if side == "left" else slice(0, len(prompt))
        x[row, place], valid[row, place] = family.embedded(prompt), True
    return x, valid


def greedy(family, x, valid, steps):
    """Tokens (rows, steps) and logits (rows, steps, vocabulary) of our decoder, fed with the likeliest token."""
    decoder = family.decoder(rows=(len(x),))
    head, cache, tokens, logits = decoder.pack(family.head), decoder.new_cache(len(x), 300), [], []
    with torch.inference_mode():
        hidden = decoder.prefill(x, cache, valid=valid)
        for _ in range(steps):
            logits.append(head(hidden))
            tokens.append(logits[-1].argmax(-1))
            hidden = decoder.step(family.embedded(tokens[-1], cache.positions), cache)
    return torch.stack(tokens, 1).tolist(), torch.stack(logits, 1)


@pytest.mark.parametrize("rows", [1, 8])
def test_greedy_decoding_is_transformers(family, rows):
    """Prefill and a hundred steps; rows of one length."""
    prompts = prompts_of([40] * rows)
    tokens, found = greedy(family, family.embedded(torch.stack(prompts)), None, STEPS)
    expected, logits = greedy_reference(family, prompts, tokens)
    assert tokens == expected
    assert (found - logits).abs().max() < 1e-4


@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_changes_nothing(family, side):
    """Different prompts per row, padded on either side, each as if it stood alone."""
    prompts = prompts_of([5, 40, 17])
    tokens, found = greedy(family, *padded(family, prompts, side), 30)
    expected, logits = greedy_reference(family, prompts, tokens)
    assert tokens == expected
    assert (found - logits).abs().max() < 1e-4


@pytest.mark.parametrize("backend", [None, RecordingGraphs], ids=["eager", "recorded"])
def test_sampled_tokens_are_those_of_torch_multinomial(family, backend):
    """Per row: transformers' logits, softmax, and torch.multinomial from a generator with the row's seed."""
    prompts, seeds, count = prompts_of([12, 12], seed=5), [11, 12], 20
    decoder = family.decoder()
    loop = RowLoop(
        decoder, decoder.pack(family.head), family.next_embedding, SamplingRecipe(VOCABULARY, order=("temperature",)),
        places=2, cap=64, backend=backend and backend(),
    )  # fmt: skip
    for row, (prompt, seed) in enumerate(zip(prompts, seeds, strict=True)):
        loop.admit(row, Admission(family.embedded(prompt)[None], SamplingParams(temperature=0.8), seed, count))
    tokens = [[], []]
    while loop.busy:
        for block in loop.step():
            tokens[block.number] += block.tokens
    _, logits = greedy_reference(family, prompts, tokens)
    for row, seed in enumerate(seeds):
        generator = torch.Generator().manual_seed(seed)
        p = logits[row].div(0.8).softmax(-1)
        assert [int(torch.multinomial(each, 1, generator=generator)) for each in p] == tokens[row]
        assert len(tokens[row]) == count


def test_taps_are_the_attention_of_transformers(family):
    """Chosen heads of the prompt and of every step."""
    prompt = prompts_of([20])[0]
    heads = [(0, 3), (2, 0), (2, 1)]
    following = prompts_of([6], seed=8)[0]
    with torch.inference_mode():
        whole = torch.cat([prompt, following])
        attention = family.reference(input_ids=whole[None], output_attentions=True).attentions
    decoder = family.decoder(rows=(1,))
    cache = decoder.new_cache(1, 64)
    taps = Taps(heads, rows=1, cap=64)
    with torch.inference_mode():
        decoder.prefill(family.embedded(prompt)[None], cache, taps=taps)
        expected = torch.stack([attention[layer][0, head, :20, :20] for layer, head in heads])
        torch.testing.assert_close(taps.prompt[:, 0], expected, atol=1e-5, rtol=0)
        for at, token in enumerate(following, start=20):
            decoder.step(family.embedded(token[None], cache.positions), cache, taps=taps)
            expected = torch.stack([attention[layer][0, head, at, : at + 1] for layer, head in heads])
            torch.testing.assert_close(taps.step[:, 0, : at + 1], expected, atol=1e-5, rtol=0)
            assert not taps.step[:, 0, at + 1 :].any()


def test_a_prefill_in_parts_is_the_whole(family):
    """A second prefill goes on where the first one ended; every position's hidden state can be had."""
    tokens = prompts_of([30])[0]
    x = family.embedded(tokens)[None]
    decoder = family.decoder(rows=(1,))
    with torch.inference_mode():
        whole = decoder.prefill(x, decoder.new_cache(1, 64), every=True)
        cache = decoder.new_cache(1, 64)
        parts = [decoder.prefill(part, cache, every=True) for part in x.split([13, 1, 16], dim=1)]
        reference = family.body(input_ids=tokens[None]).last_hidden_state
    torch.testing.assert_close(torch.cat(parts, 1), whole, atol=1e-5, rtol=0)
    torch.testing.assert_close(whole, reference, atol=1e-4, rtol=0)


def test_positions_apart_from_slots(family):
    """Positions may repeat or jump: here every second position, as transformers gets them."""
    tokens = prompts_of([16])[0]
    positions = torch.arange(16)[None] * 2
    decoder = family.decoder(rows=(1,))
    cache = decoder.new_cache(1, 64)
    with torch.inference_mode():
        found = decoder.prefill(family.embedded(tokens[None], positions), cache, positions=positions, every=True)
        expected = family.body(input_ids=tokens[None], position_ids=positions).last_hidden_state
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)
    assert cache.slots.tolist() == [16]
    assert cache.positions.tolist() == [31]
