"""Plugins on rungs of realtts-native: many requests at once, each as it is alone, and the facts in the status."""

import importlib

import pytest

pytest.importorskip("torch")
realtts_native = pytest.importorskip("realtts_native")
if realtts_native.usable():
    pytest.skip(str(realtts_native.usable()), allow_module_level=True)

from realtts import RealProvider  # noqa: E402
from realtts.testing.load import mixed_load  # noqa: E402

SETTINGS = {"device": "cpu", "threads": 1, "dtype": "float32", "native": True, "strict": True}
TEXTS = ("Hm.", "A word or two.", "The sea is calm tonight.")
FEW = {"watermark": False, "n_cfm_timesteps": 1, "max_new_tokens": 24, "chunk_tokens": 15}
VIENEU = {"max_chars": 20, "max_new_tokens": 8, "chunk_frames": 3, "lookback": 4, "look_ahead": 1}


class Case:
    """A plugin with a tiny checkpoint, and how it is asked.

    Args:
        module: Its package.
        checkpoint: Keywords of its ``write_random_checkpoint``.
        settings: Settings beside the usual ones.
        options: Options to choose from.
        tolerance: Most that a sample may differ, for models whose sound is computed for several rows together.
    """

    def __init__(self, module, *, checkpoint=None, settings=None, options=({},), tolerance=0.0):
        self.module, self.checkpoint, self.options = module, dict(checkpoint or {}), list(options)
        self.settings, self.tolerance = dict(settings or {}), tolerance


FULL = ("vieneu", "chatterbox", "turbo")
"""Those with ``full``: by default the others show that a plugin on the toolkit speaks with the kernels."""
CASES = {
    "toylm": Case("realtts_toylm"),
    "qwen3": Case("realtts_qwen3", settings={"force_tokens_per_char": 0.3}, tolerance=1e-5),
    "vieneu": Case("realtts_vieneu", checkpoint={"eos_bias": 1.5, "cloning": False}, options=[VIENEU]),
    "chatterbox": Case(
        "realtts_chatterbox", checkpoint={"model": "english"}, options=[FEW, {**FEW, "cfg_weight": 0.0}]
    ),
    "turbo": Case("realtts_chatterbox", checkpoint={"model": "turbo"}, options=[FEW, {**FEW, "top_k": 50}]),
}


@pytest.fixture(
    scope="module", params=[pytest.param(name, marks=pytest.mark.full if name in FULL else ()) for name in CASES]
)
def plugin(request, tmp_path_factory):
    """Spec, settings and case of a plugin that is installed here."""
    case = CASES[request.param]
    pytest.importorskip(case.module, exc_type=ImportError)
    testing = pytest.importorskip(f"{case.module}.testing", exc_type=ImportError)
    try:
        importlib.import_module(f"{case.module}.optimized")
    except ImportError as error:
        pytest.skip(f"{case.module} cannot speak here: {error}")
    folder = tmp_path_factory.mktemp(request.param)
    testing.write_random_checkpoint(folder, **case.checkpoint)
    settings = {**SETTINGS, **case.settings, "model": str(folder), "data_dir": str(tmp_path_factory.mktemp("data"))}
    return importlib.import_module(case.module).spec, settings, case


@pytest.mark.parametrize("weights", ["int8", "int4"])
def test_every_request_is_what_it_is_alone(plugin, weights):
    """Wholes, streams and streams that are left, on the rung that was asked for."""
    spec, settings, case = plugin
    settings = {**settings, "quantization": weights}
    with RealProvider(spec, **settings) as tts:
        tts.load()
        status = tts.get_provider_status()
        details = status["optimization_details"]
        expected = {
            "kernel": "native",
            "weights": weights,
            "quantization": weights,
            "kv_dtype": "float32",
            "threads": 1,
        }
        assert {name: details[name] for name in expected} == expected
        assert (status["rung"], status["attempts"]) == (f"native-{weights}", [])
    load = mixed_load(spec, settings, texts=TEXTS, options=case.options, requests=8, tolerance=case.tolerance)
    assert load.most_rows > 1


def test_a_coarser_cache_is_as_steady(plugin):
    """With keys and values in half precision, beside a sound in bfloat16: the same twice, alone and in a batch."""
    spec, settings, case = plugin
    options = case.options[0]
    with RealProvider(spec, **{**settings, "dtype": "bfloat16", "quantization": "int8"}) as tts:
        first = tts.generate(TEXTS[1], seed=1, **options)
        tts.generate_batch(TEXTS, seed=1, **options)
        again = tts.generate(TEXTS[1], seed=1, **options)
        kv = tts.get_provider_status()["optimization_details"]["kv_dtype"]
    assert (first.samples == again.samples).all()
    assert kv == ("float16" if spec.name != "toylm" else "float32")
