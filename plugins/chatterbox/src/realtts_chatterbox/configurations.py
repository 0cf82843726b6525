"""The published models by name, and their defaults. Imports nothing heavy: the spec reads it."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["CONFIGURATIONS", "Configuration", "Defaults"]


@dataclass(frozen=True)
class Defaults:
    """Defaults of upstream's ``generate`` of a model; None: the model has no such option."""

    exaggeration: float | None = 0.5
    cfg_weight: float | None = 0.5
    repetition_penalty: float = 1.2
    min_p: float | None = 0.05
    top_p: float = 1.0
    top_k: int | None = None
    steps: int = 10


@dataclass(frozen=True)
class Configuration:
    """A published model.

    Attributes:
        name: Our name of it, as in ``model="turbo"``.
        source: Hub id.
        licence: Licence of the weights.
        size_bytes: Approximate size of the weights' files; None: unknown.
        defaults: Defaults of its options.
    """

    name: str
    source: str
    licence: str
    size_bytes: int | None = None
    defaults: Defaults = field(default_factory=Defaults)

    @property
    def turbo(self) -> bool:
        """Whether it is Turbo, which has other networks: a GPT-2 without guidance or emotion, a flow of two steps."""
        return self.name == "turbo"


_TURBO = Defaults(exaggeration=None, cfg_weight=None, min_p=None, top_p=0.95, top_k=1000, steps=2)

CONFIGURATIONS = {
    configuration.name: configuration
    for configuration in (
        Configuration("english", "ResembleAI/chatterbox", "MIT"),
        Configuration("multilingual", "ResembleAI/chatterbox", "MIT", None, Defaults(repetition_penalty=2.0)),
        Configuration("turbo", "ResembleAI/chatterbox-turbo", "MIT", None, _TURBO),
    )
}
"""By name; the first is the default."""
