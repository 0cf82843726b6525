"""A model ready for a request: a rung that is loaded, and the built-in voices that the request means."""

from __future__ import annotations

from typing import TYPE_CHECKING

from realtts.ladder.failures import StageError
from realtts.voices.lookup import builtin_voice

if TYPE_CHECKING:
    from collections.abc import Sequence

    from realtts.contract.types import VoiceInfo
    from realtts.ladder.protocols import AnyLadder, AnyRung

__all__ = ["Loader", "list_voices"]


class Loader:
    """The loading of rungs for one request.

    Args:
        ladder: Where.

    Attributes:
        seconds: Seconds per stage of the loads that the request has caused.
    """

    def __init__(self, ladder: AnyLadder) -> None:
        self.seconds: dict[str, float] = {}
        self._ladder = ladder

    def rung(self, *, begin: bool = False) -> AnyRung:
        """Return the live rung, loaded if there is none.

        Args:
            begin: A new request begins, see `realtts.ladder.ladder.Ladder.begin`.

        Raises:
            StageFailed, LadderExhausted, WorkerDied, ProviderClosed, CheckpointError, SettingsError.
        """
        fresh = self._ladder.live is None
        rung = self._ladder.begin() if begin else self._ladder.ensure_loaded()
        if fresh:
            for stage, seconds in rung.timings.items():
                self.seconds[stage] = self.seconds.get(stage, 0.0) + seconds
        return rung

    def begin(self, voices: Sequence[str]) -> dict[str, str]:
        """Find the built-in voices that are meant, before the model is loaded if its plugin can name them, and load it.

        Returns:
            The id of each, by what the caller wrote.

        Raises:
            VoiceNotFound: There is no such voice; names the closest.
            VoiceUnsupported: It is a saved recording, and the provider cannot clone.
        """
        if voices and self._ladder.live is None:
            named = self._ladder.voices_before_load()
            if named is not None:
                self._find(voices, named)
        self.rung(begin=True)
        return self._find(voices, self.voices()) if voices else {}

    def _find(self, voices: Sequence[str], infos: Sequence[VoiceInfo]) -> dict[str, str]:
        spec, settings = self._ladder.spec, self._ladder.settings
        return {voice: builtin_voice(voice, infos, spec=spec, settings=settings) for voice in voices}

    def voices(self) -> tuple[VoiceInfo, ...]:
        """Return the model's built-in voices, of the fastest rung that can list them. Raises as `rung`."""
        rung = self.rung()
        while True:
            try:
                return rung.voices()
            except StageError as failure:
                self._ladder.give_up(failure)
                rung = self.rung()


def list_voices(ladder: AnyLadder) -> tuple[VoiceInfo, ...]:
    """Return a model's built-in voices; it is loaded only if its plugin cannot name them without.

    Raises:
        StageFailed, LadderExhausted: No rung could list them.
    """
    named = ladder.voices_before_load() if ladder.live is None else None
    if named is not None:
        return named
    loader = Loader(ladder)
    loader.rung(begin=True)
    return loader.voices()
