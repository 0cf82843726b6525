"""The models that a server speaks with: found by name, loaded when used, unloaded when there are too many."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import psutil

from realtts import RealProvider
from realtts.errors import NoProvider, RealTTSError, closest, enumeration
from realtts.voices.lookup import saved_voices
from realtts_http.config import OPENAI_MODELS
from realtts_http.problems import ProblemError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from realtts import ProviderSpec, VoiceInfo
    from realtts_http.config import ServeConfig

__all__ = ["Served", "ServedModels"]

_log = logging.getLogger("realtts.http")
_WAIT_S = 60.0


@dataclass(eq=False)
class Served:
    """One model of the server.

    Attributes:
        name: The provider's, and the model's in requests.
        provider: Who speaks.
        users: Requests that speak with it now.
        used: When a request last began or ended, on the monotonic clock.
        leaving: Whether it is being unloaded.
        created: When the server made it, in seconds since 1970.
    """

    name: str
    provider: RealProvider
    users: int = 0
    used: float = 0.0
    leaving: bool = False
    created: int = field(default_factory=lambda: int(time.time()))

    @property
    def is_loaded(self) -> bool:
        """Whether its weights are in memory, or on the way there."""
        return not self.leaving and self.provider.get_provider_status()["state"] not in {"unloaded", "closed"}

    def voices_without_load(self) -> list[VoiceInfo]:
        """Return its voices; only the saved ones while the model would have to be loaded to name its own."""
        spec = self.provider.spec
        if "voices" in spec.capabilities and spec.voices is None and not self.is_loaded:
            return saved_voices(self.provider.settings) if "clone" in spec.capabilities else []
        return self.provider.voices()


class ServedModels:
    """All models of a server, of which at most some are in memory at a time.

    Args:
        config: Names, checkpoints and limits.
        specs: Providers that are not installed, or are to be served in another form.
        **settings: Further settings of every provider.

    Raises:
        RealTTSError: A provider is not installed, or a setting is wrong.
    """

    def __init__(self, config: ServeConfig, specs: Sequence[ProviderSpec] = (), **settings: Any) -> None:
        self._config = config
        self._models: dict[str, Served] = {}
        self._room = asyncio.Condition()
        for owner in config.models:
            if owner not in config.providers:
                what = f"a model is given for {owner!r}, which is not served"
                raise NoProvider(f"{what}{closest(owner, config.providers)}", who="realtts serve", fix="serve it too")
        try:
            own = {spec.name: spec for spec in specs}
            names: Sequence[str | None] = config.providers or tuple(own) or (None,)
            for name in names:
                chosen = own.get(name, name) if name is not None else None
                provider = RealProvider(chosen, model=config.models.get(name or ""), **settings)
                self._models[provider.spec.name] = Served(provider.spec.name, provider)
        except BaseException:
            self.close()
            raise
        self.aliases = dict.fromkeys(OPENAI_MODELS, self.default) | config.aliases
        for alias, target in config.aliases.items():
            if target not in self._models:
                self.close()
                what = f"the alias {alias!r} means {target!r}, which is not served"
                fix = f"choose from {enumeration(self._models)}"
                raise NoProvider(f"{what}{closest(target, self._models)}", who="realtts serve", fix=fix)

    @property
    def default(self) -> str:
        """Name of the model that requests mean which name none."""
        return next(iter(self._models))

    @property
    def all(self) -> list[Served]:
        """Every model, the default one first."""
        return list(self._models.values())

    def find(self, name: str) -> Served:
        """Return the model of a name or alias; of an empty name the default one.

        Raises:
            ProblemError: There is none.
        """
        name = name.strip()
        known = self._models.get(self.aliases.get(name, name) if name else self.default)
        if known is None:
            near = closest(name, [*self._models, *self._config.aliases])
            message = f"There is no model {name!r:.100}{near}. Fix: choose from {enumeration(self._models)}."
            raise ProblemError(404, "model_not_found", message, field="model")
        return known

    def voice(self, name: str | None) -> str | None:
        """Return the voice that a name of a request means; None: the default one."""
        if name is None or name in self._config.voices:
            return self._config.voices.get(name or "")
        return name

    @contextlib.asynccontextmanager
    async def speaking(self, model: Served) -> AsyncIterator[RealProvider]:
        """Hold a model while a request speaks with it: it is not unloaded meanwhile.

        Raises:
            ProblemError: Other models speak, and there is no room for this one.
        """
        await self._make_room(model)
        try:
            yield model.provider
        finally:
            model.users -= 1
            model.used = time.monotonic()
            async with self._room:
                self._room.notify_all()

    async def preload(self) -> None:
        """Load the models, as many as may be in memory, the default one first."""
        for model in self.all[: self._config.max_loaded]:
            async with self.speaking(model) as provider:
                await asyncio.to_thread(provider.load)

    def close(self, timeout_s: float | None = 5.0) -> None:
        """Cancel everything and free the models."""
        for model in self.all:
            with contextlib.suppress(RealTTSError):
                model.provider.close(timeout_s)

    async def _make_room(self, model: Served) -> None:
        """Count the request, once the model is in memory or may be loaded."""
        if not (model.is_loaded or model.users):
            async with self._room:
                await self._unload_others(model)
        model.users += 1
        model.used = time.monotonic()

    async def _unload_others(self, model: Served) -> None:
        """Unload what was not used for the longest time until the model may be loaded."""
        deadline = time.monotonic() + _WAIT_S
        while not (model.is_loaded or model.users) and (loaded := self._too_many(model)):
            idle = [other for other in loaded if not other.users]
            if not idle:
                try:
                    await asyncio.wait_for(self._room.wait(), max(0.0, deadline - time.monotonic()))
                except asyncio.TimeoutError:  # on Python 3.10 not the built-in one
                    message = "All places in memory are taken by models that speak. Fix: try again later."
                    raise ProblemError(503, "no_memory", message, field="model", retry_after_s=5) from None
                continue
            oldest = min(idle, key=lambda other: other.used)
            _log.info("unloading %s to make room for %s", oldest.name, model.name)
            oldest.leaving = True
            try:
                await asyncio.to_thread(oldest.provider.unload)
            finally:
                oldest.leaving = False

    def _too_many(self, model: Served) -> list[Served]:
        """Return the loaded models if another one is too much for them, else nothing."""
        loaded = [other for other in self.all if other is not model and (other.is_loaded or other.users)]
        limit = self._config.max_loaded
        if limit is not None and len(loaded) >= limit:
            return loaded
        return loaded if self._config.memory_mb and memory_mb() >= self._config.memory_mb else []


def memory_mb() -> float:
    """Return the resident memory of the server and its workers in MiB."""
    own = psutil.Process()
    total = own.memory_info().rss
    for child in own.children(recursive=True):
        with contextlib.suppress(psutil.Error):
            total += child.memory_info().rss
    return float(total) / 2**20
