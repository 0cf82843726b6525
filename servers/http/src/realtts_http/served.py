"""The models of the HTTP server: OpenAI's names for them, and the names of voices that the configuration gives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from realtts.errors import Busy, UnknownProvider
from realtts.kit.voices import matching_name
from realtts.serving import models
from realtts.serving.models import Served, memory_mb
from realtts_http.config import OPENAI_MODELS
from realtts_http.problems import problem_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from realtts import ProviderSpec
    from realtts_http.config import ServeConfig

__all__ = ["Served", "ServedModels", "memory_mb"]


class ServedModels(models.ServedModels):
    """The models that the configuration names.

    Args:
        config: Names, checkpoints and limits.
        specs: Providers that are not installed, or are to be served in another form.
        **settings: Further settings of every provider.

    Raises:
        RealTTSError: A provider is not installed, or a setting is wrong.
    """

    def __init__(self, config: ServeConfig, specs: Sequence[ProviderSpec] = (), **settings: Any) -> None:
        super().__init__(
            config.providers,
            models=config.models,
            aliases=config.aliases,
            max_loaded=config.max_loaded,
            memory_mb=config.memory_mb,
            specs=specs,
            who="realtts serve",
            **settings,
        )
        self._voices = config.voices
        self.aliases = dict.fromkeys(OPENAI_MODELS, self.default) | self.aliases

    def find(self, name: str) -> Served:
        """Return the model of a name or alias; of an empty name the default one.

        Raises:
            ProblemError: There is none.
        """
        try:
            return super().find(name)
        except UnknownProvider as error:
            raise problem_of(error, 404, "model_not_found", field="model") from None

    async def _make_room(self, model: Served) -> None:
        try:
            await super()._make_room(model)
        except Busy as error:
            raise problem_of(error, 503, "no_memory", field="model", retry_after_s=5) from None

    def voice(self, name: str | None) -> str | None:
        """Return the voice that a name of a request means; None: the default one."""
        if name is None:
            return self._voices.get("")
        configured = matching_name(name, self._voices)
        return name if configured is None else self._voices[configured]
