"""The language model on the toolkit's decoder: the tokens of transformers' ``generate``, row by row and in batches."""

from __future__ import annotations

import functools
import gc
import itertools
import weakref
from dataclasses import replace

import pytest
import torch

from realtts.accel.sampling import Sampler, SamplingParams
from realtts.errors import CheckpointMismatch, DecoderError, NotFinite
from realtts.testing.recording import RecordingGraphs
from realtts_vieneu.drawing import TokenRows
from realtts_vieneu.network import SpeechLM
from realtts_vieneu.reference import Upstream
from realtts_vieneu.replay import scores_at
from realtts_vieneu.sizes import read_sizes
from realtts_vieneu.text import sentences_of, words_of
from realtts_vieneu.upstream import module
from realtts_vieneu.utterance import SpeechIds, Utterance, shared

VOCABULARY, CODES, HIDDEN = 300, 120, 64

# Not beside each other: nothing may count on it.
SPEECH = SpeechIds(codes=tuple(range(60, 60 + 2 * CODES, 2)), end=11)

SHAPE = {
    "vocab_size": VOCABULARY,
    "hidden_size": HIDDEN,
    "intermediate_size": 128,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "initializer_range": 0.12,
    "eos_token_id": None,
    "bos_token_id": None,
}
FAMILIES = {
    "qwen2 tied": ("Qwen2", {"num_key_value_heads": 2, "tie_word_embeddings": True}),
    "llama": ("Llama", {"num_key_value_heads": 4, "head_dim": 32, "tie_word_embeddings": False}),
}
HEADS = ("speech", pytest.param("full", marks=pytest.mark.full))
"""Of which one is enough by default, where the head is not what is tested."""
OPTIONS = {
    "as upstream": SamplingParams(temperature=1.0, top_k=50),
    "greedy": SamplingParams(greedy=True),
    "hot": SamplingParams(temperature=1.7, top_k=100),
    "cold": SamplingParams(temperature=0.4, top_k=5),
    "all": SamplingParams(temperature=0.9, top_k=0),
}


@pytest.fixture(scope="module")
def upstream_of():
    """A random model of transformers, whose biases are not zero."""
    made = {}

    def make(family):
        if family not in made:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(3)
                name, own = FAMILIES[family]
                config = getattr(module("transformers"), f"{name}Config")(**SHAPE, **own)
                made[family] = getattr(module("transformers"), f"{name}ForCausalLM")(config).eval()
                for name, weight in made[family].named_parameters():
                    if name.endswith("bias"):
                        torch.nn.init.normal_(weight, std=0.1)
                # Else the end is as seldom as any other token.
                made[family].lm_head.weight.data[SPEECH.end] *= 3
        return made[family]

    return make


@pytest.fixture(scope="module")
def model_of(upstream_of):
    """Ours of the same weights, in float32 unless something else is asked for."""
    kept = {}

    def make(family, head="full", precision="fp32", **options):
        key = (family, head, precision, *options)
        if key not in kept:
            kept[key] = made(upstream_of(family), head=head, precision=precision, **options)
        return kept[key]

    return make


def made(upstream, *, state=None, **options):
    """Ours, of a model of transformers or of another state."""
    state = state_of(upstream) if state is None else state
    return SpeechLM.from_state_dict(sizes_of(upstream), SPEECH, state, **options)


def state_of(upstream):
    """As a file has it: a head that is the embedding is not in it."""
    state = {name: tensor.detach().clone() for name, tensor in upstream.state_dict().items()}
    if upstream.config.tie_word_embeddings:
        state.pop("lm_head.weight", None)
    return state


def sizes_of(upstream):
    """Of the configuration that transformers would write."""
    return read_sizes(upstream.config.to_dict())


def utterance_of(number, **changes):
    """One of many: a prompt, options and a seed by its number; all begin with the same forty tokens."""
    draw = torch.Generator().manual_seed(number)
    opening = torch.randint(0, 60, (40,), generator=torch.Generator().manual_seed(99))
    own = torch.randint(0, VOCABULARY, (3 + 5 * number,), generator=draw)
    given = {
        "ids": tuple(torch.cat([opening, own]).tolist()),
        "prefix": 40,
        "params": list(OPTIONS.values())[number % len(OPTIONS)],
        "seed": 100 + number,
        "most": 24,
        "least": number % 30,
    }
    return Utterance(**{**given, **changes})


def ours(model, utterances, **options):
    """Tokens of each utterance, and whether the model ended it; with options, of rows of their own."""
    rows = TokenRows(model._network, places=16, cap=2048, **options) if options else None
    found, stopped = [[] for _ in utterances], [False] * len(utterances)
    for drawn in model.decode(utterances) if rows is None else rows.run(utterances):
        found[drawn.number].extend(drawn.tokens)
        stopped[drawn.number] = drawn.stopped
    return found, stopped


def upstreams(upstream, utterance):
    """What ``generate`` draws, called as upstream calls it; without the end."""
    params, state = utterance.params, torch.get_rng_state()
    own = {} if params.greedy else {"temperature": params.temperature, "top_k": params.top_k}
    torch.manual_seed(utterance.seed)
    found = upstream.generate(
        torch.tensor([utterance.ids]), max_length=len(utterance.ids) + utterance.most, eos_token_id=SPEECH.end,
        pad_token_id=SPEECH.end, do_sample=not params.greedy, use_cache=True, min_new_tokens=utterance.least, **own,
    )  # fmt: skip
    torch.set_rng_state(state)
    tokens = found[0, len(utterance.ids) :].tolist()
    return tokens[:-1] if tokens[-1] == SPEECH.end else tokens


def assert_same(model, utterance, found, expected, *, end=SPEECH.end):
    """Equal, or both tokens at the first difference are worth the same within 1e-4."""
    if found == expected:
        return
    pairs = zip([*found, end], [*expected, end], strict=False)
    step, (one, other) = next((at, pair) for at, pair in enumerate(pairs) if pair[0] != pair[1])
    scores = scores_at(model, utterance, [*expected, end], step)
    assert abs(scores[one] - scores[other]) <= 1e-4 * scores[other], f"another token at step {step}"


@pytest.mark.parametrize("numbers", [range(5), pytest.param(range(5, 20), marks=pytest.mark.slow)], ids=str)
@pytest.mark.parametrize("family", FAMILIES)
def test_tokens_are_upstreams(model_of, upstream_of, family, numbers):
    """In float32, of the whole vocabulary, for prompts with all options; some end before their limit."""
    model, ended = model_of(family), 0
    for number in numbers:
        utterance = utterance_of(number, most=60)
        (found,), (stopped,) = ours(model, [utterance])
        assert stopped == (len(found) < 60)
        assert len(found) >= utterance.least
        assert_same(model, utterance, found, upstreams(upstream_of(family), utterance))
        ended += stopped
    assert ended


@pytest.mark.parametrize(
    ("model", "form", "drawing"),
    [
        ("v1", "chat", "as upstream"),
        # By default: test_tokens_are_upstreams, of its architecture, and test_prompt, of its form.
        pytest.param("v2", "tags", "greedy", marks=pytest.mark.full),
        pytest.param("0.3b", "tags", "as upstream", marks=pytest.mark.full),
    ],
)
def test_vietnamese_texts_are_upstreams(weights_of, twenty_texts, model, form, drawing):
    """Twenty texts in upstream's forms, sixteen at a time, and what they begin with read once."""
    weights = weights_of(model)
    reader, words = weights.reader, words_of("Xin chào các bạn, hôm nay trời đẹp quá.")
    opening = reader.opening(form, words, emotion="natural")
    ours_of, networks = speech_model(weights, head="full"), Upstream(weights, "cpu")
    codes = torch.randint(0, 65_536, (30,), generator=torch.Generator().manual_seed(5)).tolist()
    utterances = []
    for number, text in enumerate(twenty_texts):
        (sentence,) = sentences_of(text, 256)
        ids = reader.prompt(form, words, sentence.phonemes, codes, emotion="natural")
        utterances.append(
            Utterance(
                ids, most=6, prefix=shared(ids, opening), params=OPTIONS[drawing], seed=number, least=4,
                forced=number % 4 == 0,
            )
        )  # fmt: skip
    found, _ = ours(ours_of, utterances)
    assert ours_of.prefixes.read == 1
    for utterance, tokens in zip(utterances, found, strict=True):
        expected, _ = networks.draw(utterance, lambda: False)
        assert_same(ours_of, utterance, tokens, expected, end=reader.speech.end)


def speech_model(weights, **options):
    """Ours of a checkpoint's files."""
    return SpeechLM.from_state_dict(weights.sizes, weights.reader.speech, weights.model_state, **options)


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("family", FAMILIES)
def test_a_batch_speaks_what_each_speaks_alone(model_of, family, head):
    """Prompts, prefixes, options and lengths of different kinds side by side, however often the device is looked at."""
    model = model_of(family, head)
    utterances = [utterance_of(n, most=3 + 5 * n, prefix=40 * (n % 3 != 0)) for n in range(7)]
    together, _ = ours(model, utterances, check_every=3)
    for utterance, found in zip(utterances, together, strict=True):
        (alone,), _ = ours(model, [utterance])
        assert_same(model, utterance, found, alone)


def test_codes_are_the_speech_among_the_tokens(model_of):
    """Of the whole vocabulary other tokens are drawn, too: they stay in what is read and are no sound."""
    codes, tokens = [], []
    for drawn in model_of("llama").decode([utterance_of(5, most=80, least=80)]):
        codes += drawn.codes.tolist()
        tokens += drawn.tokens
    assert codes == [SPEECH.codes.index(token) for token in tokens if token in SPEECH.codes]
    assert 0 < len(codes) < len(tokens) == 80


@pytest.mark.parametrize("top_k", [0, 20])
@pytest.mark.parametrize("family", FAMILIES)
def test_the_head_for_speech_shares_out_what_is_no_speech(model_of, family, top_k):
    """The whole vocabulary's probabilities of codes and end, divided by their sum; ``top_k`` of them are kept."""
    whole, speech = model_of(family), model_of(family, "speech")
    utterance = utterance_of(3)
    params = SamplingParams(temperature=0.8, top_k=top_k, min_new_tokens=2)
    tokens = [SPEECH.codes[n] for n in (5, 17, 80)]
    expected = whole.logits(utterance, tokens)[:, [*SPEECH.codes, SPEECH.end]].div(0.8).softmax(-1)
    expected[:2, -1] = 0
    if top_k:
        least = expected.topk(top_k).values[:, -1:]
        expected[expected < least] = 0
    expected /= expected.sum(-1, keepdim=True)
    sampler = Sampler(speech.recipe, 3)
    for row in range(3):
        sampler.set(row, params, 0)
    found = sampler.probabilities(speech.logits(utterance, tokens), torch.arange(3))
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-4)


def test_the_head_for_speech_meets_the_same_noise(model_of, upstream_of):
    """Where upstream is left nothing but speech, both heads draw what it draws."""
    speech, whole = model_of("llama", "speech"), model_of("llama")
    utterance = utterance_of(2, forced=True, most=40)
    (found,), _ = ours(speech, [utterance])
    others = [token for token in range(VOCABULARY) if token not in SPEECH.codes]
    state = torch.get_rng_state()
    torch.manual_seed(utterance.seed)
    prompt = torch.tensor([utterance.ids])
    expected = upstream_of("llama").generate(
        prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=40, do_sample=True, temperature=1.7, top_k=100,
        suppress_tokens=others, pad_token_id=0,
    )[0, len(utterance.ids) :].tolist()  # fmt: skip
    torch.set_rng_state(state)
    assert_same(speech, utterance, found, expected)
    assert_same(whole, utterance, ours(whole, [utterance])[0][0], expected)


@pytest.mark.parametrize("head", HEADS)
def test_graphs_give_the_same(model_of, upstream_of, head):
    """Prompts and steps recorded once per length and replayed, for batches as well; the largest ``top_k`` first."""
    backend, eager = RecordingGraphs(), model_of("qwen2 tied", head)
    graphed = made(upstream_of("qwen2 tied"), head=head, backend=backend)
    utterances = [utterance_of(n, most=10, least=10) for n in (2, 1, 3, 5, 6)]
    for utterance in utterances:
        assert_same(eager, utterance, ours(graphed, [utterance])[0][0], ours(eager, [utterance])[0][0])
    captures = backend.captures
    for utterance in utterances:
        ours(graphed, [replace(utterance, seed=7)])
    assert backend.captures == captures
    batch = [replace(utterance, most=6, forced=n == 1) for n, utterance in enumerate(utterances[:3])]
    recorded = ours(graphed, batch, check_every=2, backend=backend)[0]
    for utterance, found in zip(batch, recorded, strict=True):
        assert_same(eager, utterance, found, ours(eager, [utterance])[0][0])


@pytest.mark.full  # by default: test_continuous.test_nothing_is_captured_while_rows_come_and_go
def test_what_is_warm_needs_no_capture(upstream_of):
    """After a capture with an utterance others replay only and allocate nothing, however many come and go."""
    backend = RecordingGraphs()
    model = made(upstream_of("llama"), backend=backend)
    usual = {"params": OPTIONS["as upstream"]}
    model.capture(utterance_of(10, most=12, **usual))
    model.warm_up(utterance_of(10, most=12, **usual))
    captures = backend.captures
    state = [tensor.data_ptr() for tensor in model.rows.loop._steps.state]
    for count in (1, 4, 20):
        ours(model, [utterance_of(5 + n % 6, most=2 + n, seed=n, **usual) for n in range(count)])
    assert backend.captures == captures
    assert [tensor.data_ptr() for tensor in model.rows.loop._steps.state] == state
    assert len(model.rows.loop.queue.graphs) <= 24


def test_graphs_read_a_prefix_once_too(model_of, upstream_of):
    """Prompts behind it, of one utterance and of several that begin with others, are drawn as without graphs."""
    eager, graphed = model_of("llama"), made(upstream_of("llama"), head="full", backend=RecordingGraphs())
    utterances = [utterance_of(n, params=OPTIONS["as upstream"], prefix=40 * (n != 2)) for n in range(5)]
    for utterance, found in zip(utterances, ours(graphed, utterances)[0], strict=True):
        assert_same(eager, utterance, found, ours(eager, [utterance])[0][0])
        assert_same(eager, utterance, ours(graphed, [utterance])[0][0], found)
    assert graphed.prefixes.read == 1


def test_rows_of_the_embedding_are_read_once(upstream_of):
    """The head of speech alone keeps no others in memory; what a prompt had is not read from the file again."""
    asked = []

    class Counted(dict):
        def rows(self, name, numbers):
            asked.extend(numbers)
            return self[name][list(numbers)]

    model = made(upstream_of("llama"), state=Counted(state_of(upstream_of("llama"))), head="speech")
    asked.clear()
    for number in (1, 2, 1):
        ours(model, [utterance_of(number, most=2)])
    assert sorted(asked) == sorted(set(utterance_of(1).ids) | set(utterance_of(2).ids))


@pytest.mark.parametrize("head", HEADS)
def test_forced_tokens(model_of, head):
    """A benchmark's: exactly so many, and all of them codes; whoever stands beside is not forced."""
    utterances = [utterance_of(7, most=60, forced=True), utterance_of(2, most=60)]
    (found, beside), stopped = ours(model_of("llama", head), utterances)
    assert len(found) == 60
    assert set(found) <= set(SPEECH.codes)
    assert not stopped[0]
    assert_same(model_of("llama", head), utterances[1], beside, ours(model_of("llama", head), utterances[1:])[0][0])


TOLERANCES = {"fp32": 1e-5, "bf16": 0.03, "int8": 0.05}


@pytest.fixture(scope="module")
def scored(upstream_of):
    """An utterance, tokens that transformers draws for it, and the logits that it has for them, of each family."""

    @functools.cache
    def scored(family):
        utterance, upstream = utterance_of(8, most=40), upstream_of(family)
        tokens = upstreams(upstream, utterance)
        with torch.inference_mode():
            logits = upstream(torch.tensor([[*utterance.ids, *tokens]])).logits[0, len(utterance.ids) - 1 : -1]
        return utterance, tokens, logits

    return scored


@pytest.mark.parametrize("precision", TOLERANCES)
@pytest.mark.parametrize("head", ["full", "speech"])
@pytest.mark.parametrize("family", FAMILIES)
def test_logits_of_given_tokens(model_of, scored, family, head, precision):
    """Relative error against transformers in float32."""
    utterance, tokens, expected = scored(family)
    model = model_of(family, head, precision)
    expected = expected[:, torch.tensor(list(model.outputs.ids))]
    found = model.logits(utterance, tokens)
    assert (found - expected).norm() <= TOLERANCES[precision] * expected.norm()


@pytest.mark.parametrize("family", FAMILIES)
def test_a_prefix_is_read_once(upstream_of, family):
    """Of sentences that begin alike, now and later; they are drawn as without it, and always the same."""
    model = made(upstream_of(family))
    utterances = [utterance_of(n, params=OPTIONS["as upstream"]) for n in range(5)]
    first, _ = ours(model, utterances)
    for utterance, found in zip(utterances, first, strict=True):
        assert_same(model, utterance, found, ours(model, [replace(utterance, prefix=0)])[0][0])
    assert ours(model, utterances)[0] == first
    assert model.prefixes.read == 1


def test_few_prefixes_are_kept(upstream_of):
    """The latest ones."""
    model = made(upstream_of("llama"))

    def speak(number):
        ours(model, [utterance_of(3, ids=tuple([number] * 40 + [7, 8, 9]), most=1)])

    for number in range(20):
        speak(number)
    speak(19)
    assert model.prefixes.read == 20
    speak(0)
    assert model.prefixes.read == 21


@pytest.mark.parametrize(
    ("ids", "opening", "expected"),
    [((1, 2, 3, 4), (1, 2), 2), ((1, 2, 9, 4), (1, 2, 3), 2), ((1, 2), (1, 2, 3), 2), ((5,), (6,), 0), ((), (1,), 0)],
)
def test_what_is_shared_is_told_by_tokens(ids, opening, expected):
    """Text behind an opening may join its end to another token."""
    assert shared(ids, opening) == expected


@pytest.mark.full  # by default: test_optimized.test_unload_leaves_no_tensor
def test_a_second_round_takes_no_more_memory(model_of):
    """A hundred tokens and more of several requests, then as many again: nothing is left of them."""
    model = model_of("llama", "speech")

    def tensors():
        ours(model, [utterance_of(4, most=100, forced=True)])
        ours(model, [utterance_of(n, most=30, forced=True) for n in range(6)])
        gc.collect()
        return sum(isinstance(thing, torch.Tensor) for thing in gc.get_objects())

    tensors()
    before = tensors()
    assert tensors() <= before


def test_weights_go_with_the_model(upstream_of):
    """At once: another one may be read in the next moment."""
    model = made(upstream_of("llama"), head="full")
    ours(model, [utterance_of(n, most=4 + 9 * n) for n in range(3)])
    layers = weakref.ref(model.decoder)
    gc.disable()
    try:
        del model
        assert layers() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("family", FAMILIES)
def test_rows_of_the_embedding_are_enough(upstream_of, model_of, family):
    """For speech alone: neither the matrix nor the head is ever read as a whole."""
    state = state_of(upstream_of(family))
    large = {"model.embed_tokens.weight", "lm_head.weight"}

    class Rows(dict):
        def __getitem__(self, name):
            assert name not in large
            return super().__getitem__(name)

        def rows(self, name, ids):
            assert name in large
            return state[name][list(ids)]

    model = made(upstream_of(family), state=Rows(state), head="speech")
    assert ours(model, [utterance_of(6)]) == ours(model_of(family, "speech"), [utterance_of(6)])


def test_a_row_leaves_and_another_joins(model_of):
    """In the middle; and one is drawn anew with another seed. The others draw what they would have drawn."""
    model = model_of("llama", "speech")
    utterances = [utterance_of(n, most=30, forced=True) for n in (1, 2, 4, 3)]
    rows, found = TokenRows(model._network, places=3, cap=2048), {n: [] for n in range(4)}
    waiting = [0, 1, 2]
    for turn in itertools.count():
        while waiting and rows.begin(waiting[0], utterances[waiting[0]]):
            del waiting[0]
        if not (waiting or rows.loop.busy):
            break
        for drawn in rows.step():
            found[drawn.number].extend(drawn.tokens)
        if turn == 12:
            rows.end(0)
            waiting.append(3)
        if turn == 20:
            found[1].clear()
            rows.again(1, replace(utterances[1], seed=77))
    assert 0 < len(found[0]) < 30
    expected = [utterances[0], replace(utterances[1], seed=77), *utterances[2:]]
    for number, utterance in enumerate(expected):
        (alone,), _ = ours(model, [utterance])
        assert_same(model, utterance, found[number], alone[: len(found[number])])
    assert [len(found[number]) for number in (1, 2, 3)] == [30, 30, 30]


def test_rows_that_ended_cost_nothing(model_of):
    """A step has the rows that go on."""
    model = model_of("llama", "speech")
    utterances = [utterance_of(n, most=4 + 9 * n, forced=True) for n in (5, 0, 3, 1, 4, 2)]
    rows = TokenRows(model._network, places=6, cap=2048)
    lengths = dict.fromkeys(range(6), 0)
    for drawn in rows.run(utterances):
        lengths[drawn.number] += len(drawn.tokens)
    assert list(lengths.values()) == [utterance.most for utterance in utterances]
    # The first token of each is drawn from its prompt.
    assert rows.loop.queue.row_steps == sum(lengths.values()) - 6


def test_lower_precision_draws_with_noise_of_its_own(model_of):
    """Each token is the best of what it was drawn from; the same seed repeats, another does not."""
    model, utterance = model_of("llama", "speech", "int8"), utterance_of(5, most=40, least=40)
    (tokens,), _ = ours(model, [utterance])
    assert ours(model, [utterance])[0] == [tokens]
    assert ours(model, [replace(utterance, seed=3)])[0] != [tokens]
    best = [int(scores_at(model, utterance, tokens, step).argmax()) for step in range(40)]
    assert sum(one == other for one, other in zip(best, tokens, strict=True)) >= 38


@pytest.mark.parametrize("name", ["lm_head.weight", "model.layers.1.mlp.down_proj.weight"])
def test_what_is_not_finite_is_refused(upstream_of, name):
    """In head and layers."""
    state = state_of(upstream_of("llama"))
    state[name] = torch.full_like(state[name], float("nan"))
    with pytest.raises(NotFinite):
        ours(made(upstream_of("llama"), state=state), [utterance_of(0)])


def test_too_long_a_request_is_refused(model_of):
    """By name, before anything is drawn."""
    with pytest.raises(DecoderError, match="2048 slots"):
        ours(model_of("llama"), [utterance_of(0, most=7000)])


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ({"lm_head.weight": None}, "1 tensors are missing, the first is lm_head.weight"),
        ({"model.embed_tokens.weight": None}, "the first is model.embed_tokens.weight"),
        ({"model.layers.1.self_attn.k_proj.weight": None}, "the first is model.layers.1.self_attn.k_proj.weight"),
        ({"extra": torch.zeros(1)}, "unexpected, the first is extra"),
        ({"model.extra": torch.zeros(1)}, "unexpected, the first is model.extra"),
        ({"lm_head.weight": torch.zeros(3, 3)}, r"lm_head.weight has the shape \(3, 3\)"),
        ({"model.norm.weight": torch.zeros(3)}, r"model.norm.weight has the shape \(3,\)"),
    ],
)
@pytest.mark.parametrize("head", ["full", "speech"])
def test_another_checkpoint_is_refused_by_name(upstream_of, head, damage, message):
    """Missing, unexpected and misshapen tensors."""
    state = {**state_of(upstream_of("llama")), **damage}
    state = {name: tensor for name, tensor in state.items() if tensor is not None}
    with pytest.raises(CheckpointMismatch, match=message):
        made(upstream_of("llama"), state=state, head=head)


def test_a_tied_head_in_the_file_is_not_looked_at(upstream_of, model_of):
    """As transformers does it."""
    state = state_of(upstream_of("qwen2 tied")) | {"lm_head.weight": torch.zeros(VOCABULARY, HIDDEN)}
    found = ours(made(upstream_of("qwen2 tied"), state=state, head="full"), [utterance_of(4)])
    assert found == ours(model_of("qwen2 tied"), [utterance_of(4)])
