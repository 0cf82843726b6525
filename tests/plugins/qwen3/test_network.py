"""Talker and code predictor on the toolkit's decoder: upstream's codes in float32, row by row and in batches."""

from __future__ import annotations

import gc
from dataclasses import replace

import pytest
import torch

from realtts.accel.sampling import SamplingParams
from realtts.accel.upstream.upstream import quiet
from realtts.errors import CheckpointMismatch, DecoderError, NotFinite
from realtts.testing.recording import RecordingGraphs
from realtts_qwen3.network import Talker
from realtts_qwen3.replay import scores_at
from realtts_qwen3.testing import write_random_checkpoint
from realtts_qwen3.utterance import Utterance

CUSTOM, CLONE, DESIGN = "0.6b-custom-voice", "0.6b-base", "1.7b-voice-design"
WAYS = ("speaker", "design", "reference", "embedding")
MODELS = {"speaker": CUSTOM, "design": DESIGN, "reference": CLONE, "embedding": CLONE}
SENTENCE = "hello the cat, sat on 12 mats; et voilà – 你好 what a day! who's there? nobody but the wind and me"
WORDS = SENTENCE.split()

GREEDY = SamplingParams(greedy=True, repetition_penalty=1.2)
OPTIONS = {
    "as upstream": (SamplingParams(temperature=0.9, top_k=50, repetition_penalty=1.05), SamplingParams(0.9, 50)),
    "greedy": (GREEDY, SamplingParams(greedy=True)),
    "greedy talker": (GREEDY, SamplingParams(temperature=1.1, top_p=0.8)),
    "greedy predictor": (SamplingParams(temperature=0.7, top_k=20, top_p=0.9), SamplingParams(greedy=True)),
    "wild": (SamplingParams(temperature=1.3), SamplingParams(temperature=1.2, top_k=5, top_p=0.95)),
}


@pytest.fixture(scope="module")
def talker_of(weights_of):
    """Of a tiny checkpoint, in float32 unless something else is asked for."""
    kept = {}

    def make(model, precision="fp32", **options):
        key = (model, precision, *options)
        if key not in kept:
            weights = weights_of(model)
            kept[key] = Talker.from_state_dict(weights.sizes, weights.states.talker, precision=precision, **options)
        return kept[key]

    return make


@pytest.fixture(scope="module")
def utterance_of(weights_of):
    """One of many requests in a way to speak: a text, a language, options and a seed by its number."""

    def make(way, number, **changes):
        weights = weights_of(MODELS[way])
        sizes, reader = weights.sizes, weights.reader
        own = {}
        language = sizes.languages["german"] if number % 2 else None
        if way == "speaker":
            name = list(sizes.speakers)[number % 9]
            own["speaker"] = sizes.speakers[name]
            if language is None and name in sizes.dialects:
                language = sizes.languages[sizes.dialects[name]]
        elif way == "design":
            own["instruct"] = reader.instruction(" ".join(WORDS[: number % 4]))
        else:
            draw = torch.Generator().manual_seed(number)
            own["voice"] = torch.randn(sizes.talker.hidden, generator=draw)
            if way == "reference":
                own["reference"] = reader.ids(" ".join(WORDS[number % 5 : 6]))
                own["codes"] = torch.randint(0, 2048, (3 + 2 * number, 16), generator=draw)
        talker, predictor = list(OPTIONS.values())[number % len(OPTIONS)]
        given = {
            "role": reader.role,
            "text": reader.ids(text_of(number)),
            "language": language,
            "non_streaming": number % 3 != 0,
            "talker": talker,
            "predictor": predictor,
            "seed": 100 + number,
            "most": 8,
        }
        return Utterance(**{**given, **own, **changes})

    return make


def text_of(number):
    """One of many texts, longer and longer."""
    return " ".join(WORDS[: 1 + number])


def ours(talker, utterances, **options):
    """Codes of each utterance, and whether the model ended it."""
    found, stopped = [[] for _ in utterances], ()
    for frames in talker.decode(utterances, **options):
        for row, codes in zip(found, frames.codes, strict=True):
            row.append(codes)
        stopped = frames.stopped
    return [torch.cat(row) for row in found], stopped


def upstreams(wrapper, utterance, way, number):
    """What upstream's own loop draws for the same text, which its own tokenizer reads."""
    model = wrapper.model
    ids = model.config.talker_config
    names = {token: name for name, token in ids.codec_language_id.items()}
    language = "auto" if "dialect" in names.get(utterance.language, "dialect") else names[utterance.language]
    given = {
        "input_ids": wrapper._tokenize_texts([wrapper._build_assistant_text(text_of(number))]),
        "languages": [language],
    }
    if utterance.instruct:
        instruct = wrapper._build_instruct_text(" ".join(WORDS[: number % 4]))
        given["instruct_ids"] = wrapper._tokenize_texts([instruct])
    if way == "speaker":
        given["speakers"] = [list(ids.spk_id)[number % 9]]
    if utterance.voice is not None:
        reference = wrapper._build_ref_text(" ".join(WORDS[number % 5 : 6]))
        given["ref_ids"] = wrapper._tokenize_texts([reference])
        given["voice_clone_prompt"] = {
            "ref_code": [utterance.codes],
            "ref_spk_embedding": [utterance.voice],
            "x_vector_only_mode": [utterance.codes is None],
            "icl_mode": [utterance.codes is not None],
        }
    first, others = utterance.talker, utterance.predictor
    state = torch.get_rng_state()
    torch.manual_seed(utterance.seed)
    with quiet():
        codes, _ = model.generate(
            **given,
            non_streaming_mode=utterance.non_streaming,
            max_new_tokens=utterance.most + 1,
            repetition_penalty=first.repetition_penalty,
            do_sample=not first.greedy,
            temperature=first.temperature,
            top_k=first.top_k,
            top_p=first.top_p,
            subtalker_dosample=not others.greedy,
            subtalker_temperature=others.temperature,
            subtalker_top_k=others.top_k,
            subtalker_top_p=others.top_p,
        )
    torch.set_rng_state(state)
    return codes[0]


def assert_same(talker, utterance, found, expected):
    """Equal, or both codes at the first difference are worth the same within 1e-4."""
    if torch.equal(found, expected):
        return
    least = min(len(found), len(expected))
    places = (found[:least] != expected[:least]).nonzero()
    assert len(places), f"{len(found)} frames, expected {len(expected)}"
    frame, group = places[0].tolist()
    scores = scores_at(talker, utterance, expected, frame, group)
    one, other = scores[found[frame, group]], scores[expected[frame, group]]
    assert abs(one - other) <= 1e-4 * other, f"another code {group} in frame {frame}"


@pytest.mark.parametrize("way", WAYS)
def test_codes_are_upstreams(talker_of, upstream_of, utterance_of, way):
    """In float32, for twenty texts, with speakers, dialects, languages, both layouts of text and all options."""
    talker, wrapper = talker_of(MODELS[way]), upstream_of(MODELS[way])
    for number in range(20):
        utterance = utterance_of(way, number)
        (found,), _ = ours(talker, [utterance])
        assert len(found) == 8
        assert_same(talker, utterance, found, upstreams(wrapper, utterance, way, number))


def test_speech_ends_where_upstreams_does(tmp_path, upstream_of):
    """The end is drawn when its logit is raised; at the earliest after two frames."""
    del upstream_of  # asks for its package
    from realtts.contract.spec import Checkpoint
    from realtts_qwen3 import loading
    from realtts_qwen3.upstream import module

    write_random_checkpoint(tmp_path, model=CUSTOM, eos_bias=6.0)
    weights = loading.open_checkpoint(loading.fetch(Checkpoint(name=CUSTOM, path=tmp_path)))
    talker = Talker.from_state_dict(weights.sizes, weights.states.talker)
    with quiet():
        wrapper = module("qwen_tts.inference.qwen3_tts_model").Qwen3TTSModel.from_pretrained(str(tmp_path))
    lengths = []
    for number in range(0, 10, 2):
        speaker = list(weights.sizes.speakers)[number % 9]
        utterance = Utterance(
            weights.reader.role, weights.reader.ids(text_of(number)), weights.sizes.languages["english"],
            weights.sizes.speakers[speaker], seed=number, most=40,
        )  # fmt: skip
        (found,), stopped = ours(talker, [utterance])
        assert_same(talker, utterance, found, upstreams(wrapper, utterance, "speaker", number))
        assert stopped == (len(found) < 40,)
        lengths.append(len(found))
    assert min(lengths) >= 2
    assert min(lengths) < 40


@pytest.mark.parametrize("way", WAYS)
def test_a_batch_speaks_what_each_speaks_alone(talker_of, utterance_of, way):
    """Texts, options and lengths of different kinds side by side, however often the device is looked at."""
    talker = talker_of(MODELS[way])
    utterances = [utterance_of(way, n, most=3 + 2 * n) for n in range(5)]
    together, _ = ours(talker, utterances, check_every=3)
    for utterance, found in zip(utterances, together, strict=True):
        (alone,), _ = ours(talker, [utterance])
        assert len(found) == utterance.most
        assert_same(talker, utterance, found, alone)


def test_graphs_give_the_same(talker_of, utterance_of):
    """A whole frame recorded once per bucket and replayed, sampling of both networks and the cache's reset with it."""
    backend = RecordingGraphs()
    graphed, eager = talker_of(CLONE, backend=backend), talker_of(CLONE)
    utterances = [utterance_of("reference", n, most=20) for n in (1, 2, 3, 5, 6)]
    for utterance in utterances:
        assert torch.equal(ours(graphed, [utterance])[0][0], ours(eager, [utterance])[0][0])
    captures = backend.captures
    for utterance in utterances:
        ours(graphed, [replace(utterance, seed=7)])
    assert backend.captures == captures
    batch = [replace(utterance, most=6) for utterance in utterances[:2]]
    for utterance, found in zip(batch, ours(graphed, batch, check_every=2)[0], strict=True):
        assert_same(eager, utterance, found, ours(eager, [utterance])[0][0])


def test_what_is_warm_needs_no_capture(weights_of, utterance_of):
    """After a warm-up with an utterance, one of at most its size replays only."""
    backend, weights = RecordingGraphs(), weights_of(CUSTOM)
    talker = Talker.from_state_dict(weights.sizes, weights.states.talker, backend=backend)
    talker.warm_up(utterance_of("speaker", 10, most=12))
    captures = backend.captures
    ours(talker, [utterance_of("speaker", 5, most=10)])
    assert backend.captures == captures


def test_forced_frames(talker_of, utterance_of):
    """A benchmark's: exactly so many, and the codes of the talker are sounds."""
    utterance = utterance_of("speaker", 4, most=30, forced=True)
    (found,), stopped = ours(talker_of(CUSTOM), [utterance])
    assert found.shape == (30, 16)
    assert found.max() < 2048
    assert stopped == (False,)


TOLERANCES = {"fp32": 1e-5, "bf16": 0.03, "int8": 0.1}


@pytest.mark.parametrize("precision", TOLERANCES)
@pytest.mark.parametrize("way", ["reference", "design"])
def test_logits_of_given_codes(talker_of, upstream_of, utterance_of, way, precision):
    """Relative error against upstream's own networks in float32, of both."""
    model, number, tolerance = MODELS[way], 7, TOLERANCES[precision]
    utterance = utterance_of(way, number, most=12)
    net = upstream_of(model).model.talker
    seen = {"first": [], "others": []}
    hooks = [
        net.codec_head.register_forward_hook(lambda _, __, out: seen["first"].append(out[0, -1])),
        *(
            head.register_forward_hook(lambda _, __, out: seen["others"].append(out[0, -1]))
            for head in net.code_predictor.lm_head
        ),
    ]
    codes = upstreams(upstream_of(model), utterance, way, number)
    for hook in hooks:
        hook.remove()
    found = talker_of(model, precision).logits(utterance, codes)
    first, others = torch.stack(seen["first"][:-1]), torch.stack(seen["others"]).view(len(codes), 15, -1)
    assert (found.first - first).norm() <= tolerance * first.norm()
    assert (found.others - others).norm() <= tolerance * others.norm()


def test_a_second_round_takes_no_more_memory(talker_of, utterance_of):
    """Two hundred frames of several requests, then as many again: nothing is left of them."""
    talker = talker_of(CLONE)

    def tensors():
        ours(talker, [utterance_of("reference", 4, most=100, forced=True)])
        ours(talker, [utterance_of("embedding", n, most=50, forced=True) for n in range(2)])
        gc.collect()
        return sum(isinstance(thing, torch.Tensor) for thing in gc.get_objects())

    tensors()
    before = tensors()
    assert tensors() <= before


def test_rows_of_the_text_embedding_are_enough(weights_of, utterance_of):
    """The matrix itself is never read; its tokens are projected alike whatever was projected before."""
    weights = weights_of(CUSTOM)
    name = "model.text_embedding.weight"

    class Rows(dict):
        def __getitem__(self, key):
            assert key != name
            return super().__getitem__(key)

        def rows(self, key, ids):
            assert key == name
            return weights.states.talker.rows(name, ids)

    state = Rows(dict(weights.states.talker))
    one, other = (Talker.from_state_dict(weights.sizes, state) for _ in range(2))
    ours(other, [utterance_of("speaker", 17, most=1)])
    utterance = utterance_of("speaker", 8)
    assert torch.equal(one.prompts(utterance).prompt, other.prompts(utterance).prompt)


def test_one_of_a_batch_is_stopped(talker_of, utterance_of):
    """It ends, and the others draw what they would have drawn."""
    talker = talker_of(DESIGN)
    utterances = [utterance_of("design", n, most=10) for n in (1, 2)]
    loop, found = talker.begin(utterances), [[], []]
    for count, frames in enumerate(loop.run()):
        if count == 2:
            loop.stop(0)
        for row in range(2):
            found[row].append(frames.codes[row])
    assert len(torch.cat(found[0])) < 10
    assert_same(talker, utterances[1], torch.cat(found[1]), ours(talker, utterances[1:])[0][0])


@pytest.mark.parametrize("name", ["codec_head.weight", "code_predictor.lm_head.7.weight"])
def test_what_is_not_finite_is_refused(weights_of, utterance_of, name):
    """In either network."""
    weights = weights_of(CUSTOM)
    state = {**weights.states.talker}
    state[name] = torch.full_like(state[name], float("nan"))
    with pytest.raises(NotFinite):
        ours(Talker.from_state_dict(weights.sizes, state), [utterance_of("speaker", 0)])


def test_too_long_a_request_is_refused(talker_of, utterance_of):
    """By name, before anything is drawn."""
    with pytest.raises(DecoderError, match="16384 positions"):
        talker_of(CUSTOM).begin([utterance_of("speaker", 0, most=20_000)])


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ({"codec_head.weight": None}, "the first is codec_head.weight"),
        ({"model.layers.1.self_attn.k_proj.weight": None}, "the first is model.layers.1.self_attn.k_proj.weight"),
        ({"code_predictor.extra": torch.zeros(1)}, "unexpected, the first is code_predictor.extra"),
        ({"code_predictor.lm_head.3.weight": torch.zeros(3, 3)}, r"lm_head.3.weight has the shape \(3, 3\)"),
        ({"model.norm.weight": torch.zeros(3)}, r"model.norm.weight has the shape \(3,\)"),
    ],
)
def test_another_checkpoint_is_refused_by_name(weights_of, damage, message):
    """Missing, unexpected and misshapen tensors."""
    weights = weights_of(CUSTOM)
    state = {**weights.states.talker, **damage}
    state = {name: tensor for name, tensor in state.items() if tensor is not None}
    with pytest.raises(CheckpointMismatch, match=message):
        Talker.from_state_dict(weights.sizes, state)
