"""One program in an environment with the core alone: it installs every model, speaks with all, and imports no torch.

``one_program.py PLUGINS WORK NAME...`` installs and speaks through the environments. ``one_program.py --here WORK
NAME`` is what the interpreter of such an environment runs, to write the model's checkpoint and speak in its own
process: one for both, since importing torch and a model takes longer than speaking.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from realtts import RealProvider
from realtts.isolation.install import InstallRequest, install

TEXT = "One program, several models."
WORDS = "These are the words of the recording."
RECORDING = "espeak.wav"


class Model(NamedTuple):
    """What is asked of a provider.

    Attributes:
        random: Arguments of its plugin's ``write_random_checkpoint``; None: it needs no weights.
        options: Few steps: it is not the sound that is judged.
        clones: Speaks in the voice of a recording, which the embedded voice has made.
    """

    random: dict[str, Any] | None = None
    options: dict[str, Any] = {}  # noqa: RUF012 - never changed
    clones: bool = False


MODELS = {
    "espeak": Model(),
    "hibari": Model(),
    "chatterbox": Model({"f0_bias": 120.0}, {"n_cfm_timesteps": 1, "max_new_tokens": 40}, clones=True),
    "f5": Model({}, {"nfe_step": 4}, clones=True),
    "qwen3": Model({}, {"max_new_tokens": 8}),
    "vieneu": Model({}, {"max_new_tokens": 20}),
}


def main(arguments: list[str]) -> None:
    """Install, speak with every provider while all workers live, and speak the same in their own environments."""
    if arguments[0] == "--here":
        write_checkpoint(arguments[2], Path(arguments[1]))
        with provider(arguments[2], Path(arguments[1]), "never") as tts:
            speak(tts, arguments[2], Path(arguments[1]))
        return
    plugins, work, names = Path(arguments[0]), Path(arguments[1]), arguments[2:]
    with ThreadPoolExecutor(2) as pool:
        pythons = dict(zip(names, pool.map(lambda name: installed(name, plugins), names), strict=True))
    with provider("espeak", work, "always") as tts:
        tts.generate(f"{WORDS} {WORDS}", seed=7).save(work / RECORDING)
    for name, python in pythons.items():
        subprocess.run([python, "-I", __file__, "--here", work, name], check=True)
    with contextlib.ExitStack() as open_together:
        for name in names:
            speak(open_together.enter_context(provider(name, work, "always")), name, work)
    found = sorted({"torch", *(f"realtts_{name}" for name in names)} & set(sys.modules))
    tell({"imported": found, "torch": importlib.util.find_spec("torch") is not None})


def write_checkpoint(name: str, work: Path) -> None:
    """Random weights, where the model needs some."""
    random = MODELS[name].random
    if random is not None:
        importlib.import_module(f"realtts_{name}.testing").write_random_checkpoint(work / name, **random)


def installed(name: str, plugins: Path) -> Path:
    """The interpreter of a new environment."""
    began = time.monotonic()
    environment, made = install(InstallRequest(name, source=str(plugins / name)))
    tell({"installed": name, "made": made, "seconds": round(time.monotonic() - began)})
    return environment.python


def provider(name: str, work: Path, isolation: str) -> RealProvider:
    """The provider in float32, with random weights where it needs some."""
    model = None if MODELS[name].random is None else work / name
    how: dict[str, Any] = {"device": "cpu", "dtype": "float32", "quantization": "none", "threads": 1}
    return RealProvider(name, model=model, isolation=isolation, **how)


def speak(tts: RealProvider, name: str, work: Path) -> None:
    """Write what it says to a file named after it and its place."""
    cloned = {"voice": work / RECORDING, "reference_text": WORDS} if MODELS[name].clones else {}
    speech = tts.generate(TEXT, seed=7, **cloned, **MODELS[name].options)
    status = tts.get_provider_status()
    np.save(work / f"{name}.{status['isolation']}.npy", speech.samples)
    details = status["optimization_details"]
    tell({
        "provider": name, "place": status["isolation"], "rung": status["rung"], "dtype": details.get("dtype"),
        "rate": speech.sample_rate, "duration": round(speech.duration, 2), "attempts": status["attempts"],
    })  # fmt: skip


def tell(what: dict[str, Any]) -> None:
    """A line for whoever runs this."""
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
