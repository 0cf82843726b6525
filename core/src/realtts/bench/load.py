"""A load of many callers on a provider, with its rows spoken together and one at a time, in turn in the same run."""

from __future__ import annotations

import contextlib
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from realtts.bench.facts import machine_facts
from realtts.bench.load_drive import Round, drive
from realtts.bench.load_results import figures_of, load_ratios, load_record
from realtts.bench.load_source import MOST_REQUESTS, Mix
from realtts.bench.load_target import ProviderTarget
from realtts.bench.peak import PeakMemory, fits_beside
from realtts.bench.remote import environment_of, run_there
from realtts.bench.runner import check_variants, described
from realtts.bench.tools import weights
from realtts.errors import InvalidOption
from realtts.provider.facade import RealProvider

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from realtts.bench.load_source import Load
    from realtts.bench.workload import Workload
    from realtts.contract.spec import ProviderSpec
    from realtts.isolation.environments import IsolatedEnvironment

__all__ = ["run_load"]

MOST_VOICES = 4
"""Built-in voices that requests have where none are named."""

_EVERY_S = 0.1
"""How often the memory of a worker is looked at."""


def run_load(
    provider: str | ProviderSpec | None,
    workload: Workload,
    load: Load,
    *,
    voices: Sequence[Any] = (),
    variant: str = "optimized",
    settings: Mapping[str, Any] | None = None,
    label: str = "",
    random_weights: str | None = None,
    tell: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Put the load of many callers on a provider.

    Two contenders take turns: one that speaks as many rows together as it can, and one that speaks one at a time. A
    provider in an environment of its own is asked from here, as applications ask it.

    Args:
        provider: Name, spec, or None for the default.
        workload: Texts, options and tokens; its ``voice`` counts where ``voices`` is empty.
        load: How many callers there are, for how long.
        voices: One of which each request has; none: some of the built-in ones.
        variant: ``"optimized"`` or ``"plain"``.
        settings: Keywords of `RealProvider`.
        label: For the record.
        random_weights: As of `realtts.bench.run_bench`.
        tell: Receives lines of progress.

    Returns:
        The record, JSON-able; its keys are in the benchmark how-to.

    Raises:
        InvalidOption: An unknown variant, a workload that streams or has batches.
        RealTTSError: No rung works, or the first request fails.
    """
    check_variants([variant])
    if workload.batch > 1:
        raise InvalidOption("batch is given", who="bench --load", fix="leave it out: requests come one by one")
    asked = {**(settings or {}), "optimize": variant == "optimized"}
    tell = tell or (lambda _: None)
    with RealProvider(provider, **asked) as unloaded:  # never loaded
        spec, base, environment = unloaded.spec, unloaded.settings, environment_of(unloaded)
    workload, lacking = workload.spoken_by(spec)
    with _weights(spec, workload, asked, random_weights, environment) as (spoken, weighted):
        keywords = {**weighted, "force_tokens_per_char": spoken.tokens_per_char, "queue_size": MOST_REQUESTS}
        together = _Contender("together", spec, keywords, spoken)
        alone = _Contender("alone", spec, {**keywords, "max_batch": 1}, spoken)
        with contextlib.closing(together), contextlib.closing(alone):
            interleaved = _run([together, alone], load, voices, tell)
            results = {each.name: each.result() for each in (together, alone)}
            status = together.status
    if random_weights is not None:
        for result in results.values():
            result["checkpoint"] = f"random, {random_weights}"
    notes = [f"left out, since the provider does not speak them: {', '.join(lacking)}"] if lacking else []
    if spec.batch_size == 1:
        notes.append("the provider speaks one row at a time, so that both contenders do the same")
    return load_record(
        results,
        load,
        label=label,
        provider=spec.name,
        isolated=environment is not None,
        workload={
            **described(spoken),
            "random_weights": random_weights,
            "interleaved": interleaved,
            "voices": [Path(voice).name if isinstance(voice, (str, Path)) else None for voice in together.voices],
        },
        machine=machine_facts(base, status["versions"]),
        ratios=load_ratios(results),
        notes=notes,
    )


class _Contender:
    """A provider with a model of its own, and what came of its rounds."""

    def __init__(self, name: str, spec: ProviderSpec, settings: Mapping[str, Any], workload: Workload) -> None:
        self.name = name
        self.peak = PeakMemory()
        self.voices: Sequence[Any] = (None,)
        self._rounds: list[Round] = []
        self._rss_peak = 0
        self._workload = workload
        self._status: dict[str, Any] = {}
        self._tts = RealProvider(spec, **settings)

    @property
    def status(self) -> dict[str, Any]:
        """The provider's status now, or before it was closed."""
        return self._status or self._tts.get_provider_status()

    def start(self, voices: Sequence[Any]) -> None:
        """Load, choose the voices, and speak the first text with each of them. Raises as the provider does."""
        with self.peak:
            self._tts.load()
            self.voices = voices or self._own_voices()
            item = self._workload.texts[0]
            for voice in self.voices:
                self._tts.generate(
                    item.text, voice=voice, language=item.language, seed=self._workload.seed, **self._workload.options
                )

    def leaves_room(self) -> bool:
        """Tell whether there is room for a second model like this one."""
        status = self.status
        if status["isolation"] == "isolated":
            return bool(psutil.virtual_memory().available >= 1.2 * status["memory"]["rss"])
        return fits_beside(self.peak)

    def speak(self, load: Load, part: int) -> None:
        """Speak a round."""
        over = threading.Event()
        watching = threading.Thread(target=self._watch, args=(over,), name="realtts-load-memory", daemon=True)
        watching.start()
        try:
            mix = Mix(self._workload.texts, self.voices, load.seed)
            self._rounds.append(drive(ProviderTarget(self._tts, self._workload.options), mix, load, part))
        finally:
            over.set()
            watching.join()

    def result(self) -> dict[str, Any]:
        """Return its part of the record."""
        status = self.status
        isolated = status["isolation"] == "isolated"
        return {
            **{key: status[key] for key in ("variant", "rung")},
            "asked": self.name,
            "details": status["optimization_details"],
            "checkpoint": (status["checkpoint"] or {}).get("name"),
            "attempts": [{k: v for k, v in attempt.items() if k != "traceback"} for attempt in status["attempts"]],
            **figures_of(self._rounds),
            "memory": {
                "rss_peak": self._rss_peak,
                "rss_growth": None if isolated else self.peak.rss_growth,
                "device_peak": None if isolated else self.peak.device_peak,
            },
        }

    def close(self) -> None:
        """Free the model. May be called again."""
        self._status = self.status
        self._tts.close()

    def _own_voices(self) -> Sequence[Any]:
        if self._workload.voice is not None or "voices" not in self._tts.spec.capabilities:
            return (self._workload.voice,)
        return tuple(info.id for info in self._tts.voices()[:MOST_VOICES]) or (None,)

    def _watch(self, over: threading.Event) -> None:
        while True:
            self._rss_peak = max(self._rss_peak, int(self._tts.get_provider_status()["memory"]["rss"]))
            if over.wait(_EVERY_S):
                return


@contextlib.contextmanager
def _weights(
    spec: ProviderSpec,
    workload: Workload,
    settings: Mapping[str, Any],
    random_weights: str | None,
    environment: IsolatedEnvironment | None,
) -> Iterator[tuple[Workload, Mapping[str, Any]]]:
    """As `realtts.bench.tools.weights`; those of a plugin that only its environment has are written there."""
    if environment is None or random_weights is None or settings.get("model") is not None:
        with weights(spec, workload, settings, random_weights) as (spoken, keywords):
            yield spoken, keywords
        return
    with tempfile.TemporaryDirectory(prefix="realtts-random-") as folder:
        rate = run_there(
            environment, "weights", workload, settings=settings, folder=folder, size=random_weights, seed=0
        )
        spoken = workload if workload.tokens is not None else workload.at_rate(rate)
        yield spoken, {**settings, "model": folder}


def _run(contenders: Sequence[_Contender], load: Load, voices: Sequence[Any], tell: Callable[[str], None]) -> bool:
    """Load and speak; return whether the rounds of the contenders took turns."""
    head, other = contenders
    _start(head, voices, tell)
    if head.leaves_room():
        _start(other, voices, tell)
        for part in range(load.rounds):
            for contender in contenders if part % 2 == 0 else contenders[::-1]:
                _speak(contender, load, part, tell)
        return True
    tell("memory does not hold both models: one after the other")
    for contender in contenders:
        if contender is other:
            head.close()
            _start(other, voices, tell)
        for part in range(load.rounds):
            _speak(contender, load, part, tell)
    return False


def _start(contender: _Contender, voices: Sequence[Any], tell: Callable[[str], None]) -> None:
    tell(f"{contender.name}: loading, and a first pass")
    contender.start(voices)


def _speak(contender: _Contender, load: Load, part: int, tell: Callable[[str], None]) -> None:
    tell(f"{contender.name}: round {part + 1} of {load.rounds}")
    contender.speak(load, part)
