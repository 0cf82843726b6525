"""Write what upstream's code gives: ``codes.npz``, the codes that its loop draws for the utterances of
``test_network.py``, and ``resampled.npz``, a recording of another rate as librosa resamples it.

    python tests/plugins/qwen3/golden/write.py

Run it with qwen-tts installed when the random checkpoints or the utterances change.
"""

from __future__ import annotations

import importlib.util
import tempfile
from pathlib import Path

import numpy as np

from realtts.accel.upstream.calls import quiet
from realtts.contract.spec import Checkpoint
from realtts.testing import voice_like
from realtts_qwen3.loading import fetch, open_checkpoint
from realtts_qwen3.testing import write_random_checkpoint
from realtts_qwen3.upstream import load_upstream, module

HERE = Path(__file__).parent


def main() -> None:
    """Draw every utterance of every way to speak."""
    spec = importlib.util.spec_from_file_location("test_network", HERE.parent / "test_network.py")
    tests = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tests)
    load_upstream()
    golden: dict[str, np.ndarray] = {}
    for way, model in tests.MODELS.items():
        with tempfile.TemporaryDirectory() as folder:
            write_random_checkpoint(folder, model=model)
            weights = open_checkpoint(fetch(Checkpoint("golden", path=Path(folder))))
            with quiet():
                wrapper = module("qwen_tts.inference.qwen3_tts_model").Qwen3TTSModel.from_pretrained(folder)
            rows = [
                tests.upstreams(wrapper, tests.new_utterance(weights, way, number), way, number)
                for number in range(tests.TEXTS)
            ]
            golden[way] = np.stack([row.numpy() for row in rows]).astype(np.int16)
            golden[f"{way} digest"] = np.array(tests.digest_of(weights))
    np.savez_compressed(HERE / "codes.npz", **golden)
    write_resampled()


def write_resampled() -> None:
    """Resample a quarter of a second from 16 to 24 kHz."""
    import librosa

    low, _ = voice_like(0.25, 16_000)
    np.savez_compressed(HERE / "resampled.npz", low=low, high=librosa.resample(low, orig_sr=16_000, target_sr=24_000))


if __name__ == "__main__":
    main()
