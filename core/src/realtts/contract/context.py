"""The context that every hook gets, and the rungs of a ladder."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from realtts.contract.stages import StageLog

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Mapping

    from realtts.contract.events import Event
    from realtts.contract.spec import Checkpoint, ProviderSpec
    from realtts.contract.voice_cache import VoiceCache
    from realtts.settings import Settings

__all__ = ["Context", "Rung"]


@dataclass(frozen=True)
class Rung:
    """One combination of variant and settings that the ladder tries.

    Attributes:
        name: Short name that appears in the status, such as ``"bf16+cuda_graphs"``.
        settings: Fields of `realtts.Settings` that this rung changes, such as ``{"dtype": "bfloat16"}``.
    """

    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "settings", MappingProxyType(dict(self.settings)))


@dataclass(frozen=True)
class Context:
    """Everything that a hook may use beside its model and request. Immutable; each rung has its own.

    Attributes:
        spec: The provider's spec.
        settings: The settings in force, the rung's changes applied.
        variant: ``"optimized"`` or ``"plain"``.
        device: Device to run on, such as ``"cpu"`` or ``"cuda:0"``; never ``"auto"``.
        dtype: Compute type: ``"float32"``, ``"bfloat16"`` or ``"float16"``; never ``"auto"``.
        rung: The rung being tried; None while `rungs` itself is asked.
        checkpoint: What to load: its ``path`` is set when the user gave a local folder; None when the spec lists none.
        voice_cache: Bounded cache for speaker conditioning, keyed by `Voice.digest`; shared by all rungs.
        log: Logger ``realtts.<provider>``.
        report: Hand an `Event` to every extension's `on_event`; never raises.
        stages: Where `realtts.contract.timing.timed` notes the inner stages of `generate`.
    """

    spec: ProviderSpec
    settings: Settings
    variant: str
    device: str
    dtype: str
    rung: Rung | None
    checkpoint: Checkpoint | None
    voice_cache: VoiceCache
    log: logging.Logger
    report: Callable[[Event], None]
    stages: StageLog = field(default_factory=StageLog)

    def forced_tokens(self, text: str) -> int | None:
        """Return how many tokens to decode for a text, whatever the end token says; None: until the end token.

        At least 1 where the setting ``force_tokens_per_char`` is given. Both variants must obey, or a benchmark with
        random weights, which hardly ever end by themselves, would compare unequal work.
        """
        rate = self.settings.force_tokens_per_char
        return None if rate is None else max(1, round(len(text) * rate))
