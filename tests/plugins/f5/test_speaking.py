"""Texts in four scripts: symbols, mel and sound of the optimized variant in float32 are upstream's."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import torch

from realtts.accel.upstream.calls import quiet
from realtts.bench.subject import Subject
from realtts.contract.types import Chunk, Voice
from realtts.testing import make_arrivals, make_context, make_request
from realtts_f5 import speaking, spec
from realtts_f5.frontend import prepare
from realtts_f5.options import F5Options
from realtts_f5.text import symbols
from realtts_f5.upstream import module

# By default test_network compares the networks of the others with upstream's, and test_plain what they say.
MODELS = ("f5-v1-base", *(pytest.param(name, marks=pytest.mark.full) for name in ("f5-v0-base", "e2-base")))
WORDS = "These are the words."
TEXTS = {
    "en-short": "Hello there, you.",
    "en-question": "Hello there, my dear friend, how are you?",
    "en-quotes": "“Quoted” words; it’s three o'clock, isn't it?",
    "en-numbers": "At 10:30 it was 1,234.56 - or a bit less.",
    "en-capitals": "NASA and the UN met at St. John's.",
    "en-long": "I have been a silent spectator, watching species evolve, empires rise and fall, and I shall go on.",
    "zh-short": "你好，世界。",
    "zh-question": "你好，我的朋友，今天怎么样？",
    "zh-readings": "我们一起去银行行长家吧！",
    "zh-numbers": "今天是2024年5月，天气很好。",
    "zh-long": "他说，“长大以后，我要重新回到重庆，看看那条长长的江。”大家听了都笑了起来。",
    "es-accents": "Mañana, señor, será otro día.",
    "es-question": "¿Qué tal está? ¡Muy bien, gracias!",
    "es-enye": "El niño comió piñas y bebió agua.",
    "es-diaeresis": "El pingüino averigüé; ¿vergüenza? No.",
    "es-long": "Aquí, en el corazón de la ciudad, los árboles más viejos dan sombra a quienes todavía saben escuchar.",
    "mixed-word": "Please say 你好, and then goodbye.",
    "mixed-words": "We say 你好 and 再见 in Chinese; “学习” is study.",
    "mixed-spanish": "The señorita said mañana, and 明天 means the same.",
    "mixed-three": "今天 we eat paella, ¿verdad? 好吃！",
}
BY_DEFAULT = ("en-short", "zh-short", "es-accents", "mixed-word")
"""One of each kind; all are compared as symbols, which is where texts differ."""
LONGER = ("en-question", "en-long", "zh-readings", "zh-long", "es-long", "mixed-three")
"""Those that are spoken too with ``nox -t full``."""
NAMES = [*BY_DEFAULT, *(pytest.param(name, marks=pytest.mark.full) for name in LONGER)]
STEPS, SEED = 4, 11


def request_of(text, recording):
    """One of the texts, by two seconds of the recording."""
    samples, rate = recording
    voice = Voice(samples[: 2 * rate], rate, WORDS)
    return make_request(text, voice=voice, seed=SEED, options=F5Options(nfe_step=STEPS))


def upstream_of(model, ask):
    """Upstream's `CFM.sample`, which draws the noise of its seed, and its vocoder: mel, and samples."""
    (chunk,) = ask.chunks
    with torch.random.fork_rng(devices=[]), torch.inference_mode(), quiet():
        mel, _ = model.networks.cfm.sample(
            cond=torch.from_numpy(ask.reference.samples)[None], text=torch.tensor([chunk.ids]), duration=chunk.frames,
            steps=STEPS, cfg_strength=2.0, sway_sampling_coef=-1.0, seed=SEED,
        )  # fmt: skip
        wave = model.networks.vocos.decode(mel[:, ask.reference.hops :].permute(0, 2, 1))
    return mel[0].numpy(), wave[0].numpy() * ask.reference.gain


def spoken(context, model, requests):
    """The chunk of each request, of those that are spoken at once."""
    items = speaking.speak(context, model, make_arrivals(requests))
    return {item[0]: item[1] for item in items if item is not None and isinstance(item[1], Chunk)}


@pytest.fixture(scope="module", params=MODELS)
def both(request, loaded, folders, recording, tmp_path_factory):
    """What upstream makes of a text, and the optimized variant of the same checkpoint."""
    model = loaded(request.param)
    requests = {name: request_of(text, recording) for name, text in TEXTS.items()}

    @functools.cache
    def expected(name):
        return upstream_of(model, prepare(make_context(spec), model.weights, requests[name]))

    settings = {
        "model": folders(request.param), "device": "cpu", "threads": 1, "dtype": "float32", "strict": True,
        "data_dir": str(tmp_path_factory.mktemp("data")),
    }  # fmt: skip
    with Subject(spec, settings) as subject:

        def apply(function):
            return subject.load().apply(lambda context, model, _: function(context, model), requests["en-short"])

        yield requests, expected, apply


@pytest.mark.parametrize("name", TEXTS)
def test_tokens_are_upstreams(loaded, name) -> None:
    """Behind the recording's words, for the vocabulary that upstream reads itself."""
    utils = module("f5_tts.model.utils")
    vocabulary = module("importlib.resources").files("f5_tts").joinpath("infer/examples/vocab.txt")
    table, size = utils.get_tokenizer(str(vocabulary), "custom")
    expected = utils.convert_char_to_pinyin([f"{WORDS} {TEXTS[name]}"])
    row = symbols(f"{WORDS} {TEXTS[name]}")
    ours = loaded("f5-v1-base").weights.vocabulary
    assert row == expected[0]
    assert list(ours.ids(row)) == utils.list_str_to_idx(expected, table)[0].tolist()
    assert (len(ours), ours.unknown(row)) == (size, ())


@pytest.mark.parametrize("name", NAMES)
def test_single_chunks_are_upstreams(both, name) -> None:
    """Mel within 1e-4, and the sound within 1e-3, of noise by the same seed."""
    requests, expected, apply = both
    mel, samples = expected(name)
    ours = apply(lambda context, model: speaking.mel(context, model, requests[name])).numpy()
    assert ours.shape == mel.shape
    assert np.abs(ours - mel).max() < 1e-4
    (chunk,) = apply(lambda context, model: spoken(context, model, [requests[name]])).values()
    assert len(chunk.samples) == len(samples)
    assert np.abs(chunk.samples - samples).max() < 1e-3
    assert np.abs(samples).max() > 0.01


@pytest.mark.parametrize(
    ("names", "lengths"),
    [(BY_DEFAULT, 3), pytest.param((*BY_DEFAULT, *LONGER), 8, marks=pytest.mark.full)],
    ids=["four", "ten"],
)
def test_batched_chunks_are_upstreams(both, monkeypatch, names, lengths) -> None:
    """The same where up to eight texts, shorter and longer ones, share each forward, as they do on a GPU."""
    requests, expected, apply = both
    monkeypatch.setitem(speaking._TOGETHER, "cpu", 8)
    batch = [requests[name] for name in names]
    chunks = apply(lambda context, model: spoken(context, model, batch))
    assert sorted(chunks) == list(range(len(names)))
    assert len({len(expected(name)[1]) for name in names}) >= lengths
    for index, name in enumerate(names):
        _, samples = expected(name)
        assert len(chunks[index].samples) == len(samples)
        assert np.abs(chunks[index].samples - samples).max() < 1e-3
