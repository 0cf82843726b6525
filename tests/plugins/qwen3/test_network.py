"""Talker and code predictor on the toolkit's decoder: upstream's codes in float32, row by row and in batches."""

from __future__ import annotations

import gc
import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tiers import by_default

from realtts.accel.sampling import SamplingParams
from realtts.accel.upstream.calls import quiet
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
TEXTS = 20

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
    made = {}

    def make(model, precision="fp32", **options):
        key = (model, precision, *options)
        if key not in made:
            weights = weights_of(model)
            made[key] = Talker.from_state_dict(
                weights.sizes, weights.states.talker, precision=precision, places=5, **options
            )
        return made[key]

    return make


@pytest.fixture(scope="module")
def utterance_of(weights_of):
    """Makes one of many utterances in a way to speak, by its number."""
    return lambda way, number, **changes: new_utterance(weights_of(MODELS[way]), way, number, **changes)


@pytest.fixture(scope="module")
def golden():
    """The codes that upstream's loop has drawn for these utterances; written by ``golden/write.py``."""
    with np.load(Path(__file__).parent / "golden" / "codes.npz") as file:
        return dict(file)


def new_utterance(weights, way, number, **changes):
    """One of many utterances: a text, a language, options and a seed by its number."""
    sizes, reader = weights.sizes, weights.reader
    voice = {}
    language = sizes.languages["german"] if number % 2 else None
    if way == "speaker":
        name = list(sizes.speakers)[number % 9]
        voice["speaker"] = sizes.speakers[name]
        if language is None and name in sizes.dialects:
            language = sizes.languages[sizes.dialects[name]]
    elif way == "design":
        voice["instruct"] = reader.instruction(" ".join(WORDS[: number % 4]))
    else:
        draw = torch.Generator().manual_seed(number)
        voice["voice"] = torch.randn(sizes.talker.hidden, generator=draw)
        if way == "reference":
            voice["reference"] = reader.ids(" ".join(WORDS[number % 5 : 6]))
            voice["codes"] = torch.randint(0, 2048, (3 + 2 * number, 16), generator=draw)
    talker, predictor = list(OPTIONS.values())[number % len(OPTIONS)]
    common = {
        "role": reader.role,
        "text": reader.ids(text_of(number)),
        "language": language,
        "non_streaming": number % 3 != 0,
        "talker": talker,
        "predictor": predictor,
        "seed": 100 + number,
        "max_frames": 8,
    }
    return Utterance(**{**common, **voice, **changes})


def digest_of(weights):
    """What changes when the talker's weights do."""
    digest = hashlib.sha256()
    for name in sorted(weights.states.talker):
        digest.update(weights.states.talker[name].view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def text_of(number):
    """One of many texts, longer and longer."""
    return " ".join(WORDS[: 1 + number])


def ours(talker, utterances):
    """Codes of each utterance, and whether the model ended it."""
    rows, stopped = [[] for _ in utterances], [False] * len(utterances)
    for block in talker.decode(utterances):
        rows[block.number].append(block.outputs)
        stopped[block.number] = block.end == "stop"
    return [torch.cat(row) for row in rows], tuple(stopped)


def upstreams(wrapper, utterance, way, number):
    """What upstream's own loop draws for the same text, which its own tokenizer reads."""
    model = wrapper.model
    ids = model.config.talker_config
    names = {token: name for name, token in ids.codec_language_id.items()}
    language = "auto" if "dialect" in names.get(utterance.language, "dialect") else names[utterance.language]
    arguments = {
        "input_ids": wrapper._tokenize_texts([wrapper._build_assistant_text(text_of(number))]),
        "languages": [language],
    }
    if utterance.instruct:
        instruct = wrapper._build_instruct_text(" ".join(WORDS[: number % 4]))
        arguments["instruct_ids"] = wrapper._tokenize_texts([instruct])
    if way == "speaker":
        arguments["speakers"] = [list(ids.spk_id)[number % 9]]
    if utterance.voice is not None:
        reference = wrapper._build_ref_text(" ".join(WORDS[number % 5 : 6]))
        arguments["ref_ids"] = wrapper._tokenize_texts([reference])
        arguments["voice_clone_prompt"] = {
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
            **arguments,
            non_streaming_mode=utterance.non_streaming,
            max_new_tokens=utterance.max_frames + 1,
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


def assert_same(talker, utterance, codes, expected):
    """Equal, or both codes at the first difference are worth the same within 1e-4."""
    if torch.equal(codes, expected):
        return
    least = min(len(codes), len(expected))
    places = (codes[:least] != expected[:least]).nonzero()
    assert len(places), f"{len(codes)} frames, expected {len(expected)}"
    frame, group = places[0].tolist()
    scores = scores_at(talker, utterance, expected, frame, group)
    one, other = scores[codes[frame, group]], scores[expected[frame, group]]
    assert abs(one - other) <= 1e-4 * other, f"another code {group} in frame {frame}"


@pytest.mark.parametrize("way", by_default(dict(zip(WAYS, WAYS, strict=True)), "reference"))
def test_codes_are_those_that_upstream_has_drawn(talker_of, weights_of, utterance_of, golden, way):
    """In float32, for many texts, with speakers, dialects, languages, both layouts of text and all options."""
    assert digest_of(weights_of(MODELS[way])) == golden[f"{way} digest"], "other weights: run golden/write.py again"
    talker = talker_of(MODELS[way])
    for begin in range(0, TEXTS, talker.places):  # beside each other, which is quicker than one by one
        numbers = range(begin, min(begin + talker.places, TEXTS))
        utterances = [utterance_of(way, number, max_frames=4) for number in numbers]
        for number, utterance, codes in zip(numbers, utterances, ours(talker, utterances)[0], strict=True):
            assert len(codes) == 4
            assert_same(talker, utterance, codes, torch.from_numpy(golden[way][number, :4]).long())


@pytest.mark.parametrize(
    ("way", "numbers"), [("speaker", (8,)), ("design", (5,)), ("reference", (3, 6)), ("embedding", (4,))]
)
def test_codes_are_upstreams(talker_of, upstream_of, utterance_of, golden, *, way, numbers):
    """Of its loop, run now, which draws what it drew for the golden codes; each alone."""
    talker, wrapper = talker_of(MODELS[way]), upstream_of(MODELS[way])
    for number in numbers:
        utterance = utterance_of(way, number)
        expected = upstreams(wrapper, utterance, way, number)
        assert_same(talker, utterance, ours(talker, [utterance])[0][0], expected)
        assert_same(talker, utterance, torch.from_numpy(golden[way][number]).long(), expected)


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
    for number in (0, 4, 8):
        speaker = list(weights.sizes.speakers)[number % 9]
        utterance = Utterance(
            weights.reader.role, weights.reader.ids(text_of(number)), weights.sizes.languages["english"],
            weights.sizes.speakers[speaker], seed=number, max_frames=40,
        )  # fmt: skip
        (codes,), stopped = ours(talker, [utterance])
        assert_same(talker, utterance, codes, upstreams(wrapper, utterance, "speaker", number))
        assert stopped == (len(codes) < 40,)
        lengths.append(len(codes))
    assert min(lengths) >= 2
    assert min(lengths) < 40


@pytest.mark.full  # by default: test_continuous.test_rows_draw_what_they_draw_alone
@pytest.mark.parametrize("way", ["design", "reference"])  # the others differ in their prompts
def test_a_batch_speaks_what_each_speaks_alone(talker_of, utterance_of, way):
    """Texts, options and lengths of different kinds side by side, however often the device is looked at."""
    talker = talker_of(MODELS[way])
    utterances = [utterance_of(way, n, max_frames=2 + n) for n in range(5)]
    talker.rows_for(1).loop.queue.check_every = 3
    together, _ = ours(talker, utterances)
    for utterance, codes in zip(utterances, together, strict=True):
        (alone,), _ = ours(talker, [utterance])
        assert len(codes) == utterance.max_frames
        assert_same(talker, utterance, codes, alone)


@pytest.mark.full  # by default: test_continuous.test_rows_draw_what_they_draw_alone, recorded
def test_graphs_give_the_same(weights_of, talker_of, utterance_of):
    """A whole frame recorded once per bucket and replayed, sampling of both networks and the cache's reset with it."""
    backend, weights, eager = RecordingGraphs(), weights_of(CLONE), talker_of(CLONE)
    graphed = Talker.from_state_dict(weights.sizes, weights.states.talker, places=2, backend=backend)
    utterances = [utterance_of("reference", n) for n in (2, 5)]
    for utterance in utterances:
        assert torch.equal(ours(graphed, [utterance])[0][0], ours(eager, [utterance])[0][0])
    captures = backend.captures
    assert captures > 0
    for utterance in utterances:
        ours(graphed, [replace(utterance, seed=7)])
    assert backend.captures == captures
    batch = [replace(utterance, max_frames=4) for utterance in utterances]
    graphed.rows_for(1).loop.queue.check_every = 2
    for utterance, codes in zip(batch, ours(graphed, batch)[0], strict=True):
        assert_same(eager, utterance, codes, ours(eager, [utterance])[0][0])


def test_what_is_warm_needs_no_capture(weights_of, utterance_of):
    """After a warm-up with an utterance, one of at most its size replays only."""
    backend, weights = RecordingGraphs(), weights_of(CUSTOM)
    talker = Talker.from_state_dict(weights.sizes, weights.states.talker, backend=backend)
    talker.prepare(utterance_of("speaker", 10, max_frames=12))
    captures = backend.captures
    ours(talker, [utterance_of("speaker", 5, max_frames=10)])
    assert backend.captures == captures


def test_forced_frames(talker_of, utterance_of):
    """A benchmark's: exactly so many, and the codes of the talker are sounds."""
    utterance = utterance_of("speaker", 4, max_frames=12, forced=True)
    (codes,), stopped = ours(talker_of(CUSTOM), [utterance])
    assert codes.shape == (12, 16)
    assert codes.max() < 2048
    assert stopped == (False,)


TOLERANCES = {"fp32": 1e-5, "bf16": 0.03, "int8": 0.1}


@pytest.fixture(scope="module")
def logits_of(upstream_of, utterance_of):
    """An utterance of a way to speak, the codes that upstream draws for it, and the logits of both its networks."""
    made = {}

    def logits(way):
        if way not in made:
            utterance = utterance_of(way, 7, max_frames=6)
            made[way] = (utterance, *upstreams_logits(upstream_of(MODELS[way]), utterance, way, 7))
        return made[way]

    return logits


def upstreams_logits(wrapper, utterance, way, number):
    """The codes that upstream draws, and what its networks gave for them."""
    net = wrapper.model.talker
    seen = {"first": [], "others": []}
    hooks = [
        net.codec_head.register_forward_hook(lambda _, __, out: seen["first"].append(out[0, -1])),
        *(
            head.register_forward_hook(lambda _, __, out: seen["others"].append(out[0, -1]))
            for head in net.code_predictor.lm_head
        ),
    ]
    codes = upstreams(wrapper, utterance, way, number)
    for hook in hooks:
        hook.remove()
    return codes, torch.stack(seen["first"][:-1]), torch.stack(seen["others"]).view(len(codes), 15, -1)


@pytest.mark.parametrize("precision", TOLERANCES)
@pytest.mark.parametrize("way", ["reference", "design"])
def test_logits_of_given_codes(talker_of, logits_of, way, precision):
    """Relative error against upstream's own networks in float32, of both."""
    tolerance = TOLERANCES[precision]
    utterance, codes, first, others = logits_of(way)
    logits = talker_of(MODELS[way], precision).logits(utterance, codes)
    assert (logits.first - first).norm() <= tolerance * first.norm()
    assert (logits.others - others).norm() <= tolerance * others.norm()


@pytest.mark.full  # by default: test_conformance.test_a_few_requests_leave_nothing
def test_a_second_round_takes_no_more_memory(talker_of, utterance_of):
    """Frames of several requests, then as many again: nothing is left of them."""
    talker = talker_of(CLONE)

    def tensors():
        ours(talker, [utterance_of("reference", 4, max_frames=10, forced=True)])
        ours(talker, [utterance_of("embedding", n, max_frames=5, forced=True) for n in range(2)])
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
    ours(other, [utterance_of("speaker", 17, max_frames=1)])
    utterance = utterance_of("speaker", 8)
    assert torch.equal(one.prompts(utterance).prompt, other.prompts(utterance).prompt)


def test_one_of_a_batch_is_stopped(talker_of, utterance_of):
    """It ends, and the others draw what they would have drawn."""
    talker = talker_of(DESIGN)
    utterances = [utterance_of("design", n, max_frames=10) for n in (1, 2)]
    served, codes = talker.rows_for(1), [[], []]
    for number, utterance in enumerate(utterances):
        served.loop.admit(number, talker.admission(talker.laid_out(utterance), utterance))
    while served.loop.busy:
        for block in served.loop.step():
            codes[block.number].append(block.outputs)
            if block.number == 0 and len(codes[0]) == 3:
                served.loop.release(0)
    served.clear()
    assert len(torch.cat(codes[0])) < 10
    assert_same(talker, utterances[1], torch.cat(codes[1]), ours(talker, utterances[1:])[0][0])


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
        ours(talker_of(CUSTOM), [utterance_of("speaker", 0, max_frames=20_000)])


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
