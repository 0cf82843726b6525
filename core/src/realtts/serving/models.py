"""The models that a server speaks with: found by name, loaded when used, unloaded when there are too many."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import psutil

from realtts.errors import Busy, NoProvider, RealTTSError, UnknownProvider, closest, enumeration
from realtts.provider.facade import RealProvider

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from realtts.contract.spec import ProviderSpec
    from realtts.contract.types import VoiceInfo

__all__ = ["Served", "ServedModels", "memory_mb"]

_log = logging.getLogger("realtts.serving")
_WAIT_S = 60.0
_RETRY_S = 5.0
_TURN_S = 2.0
"""How long requests for another model wait before the model that has had its place longest gets no new ones."""

_LOOK_S = 0.5


@dataclass(eq=False)
class Served:
    """One model of a server.

    Attributes:
        name: The provider's, and the model's in requests.
        provider: Who speaks.
        users: Requests that speak with it now.
        used: When a request last began or ended, on the monotonic clock.
        placed: When it was let into memory, on the same clock.
        leaving: Whether it is being unloaded.
        created: When the server made it, in seconds since 1970.
    """

    name: str
    provider: RealProvider
    users: int = 0
    used: float = 0.0
    placed: float = 0.0
    leaving: bool = False
    created: int = field(default_factory=lambda: int(time.time()))
    _asked: bool = False

    @property
    def is_loaded(self) -> bool:
        """Whether its weights are in memory, or on the way there."""
        return not self.leaving and self.provider.state not in {"unloaded", "closed"}

    def voices_without_load(self) -> list[VoiceInfo]:
        """Return its voices, without loading the model or waiting for it.

        Of a model that alone can name its built-in voices they are there once it has spoken for the first time.
        """
        return self.provider.voices(load=False)

    async def ask_voices(self) -> None:
        """Let the model name its voices, once, for `voices_without_load`; for a model that is in memory."""
        if not self._asked:
            self._asked = True
            with contextlib.suppress(RealTTSError):
                await asyncio.to_thread(self.provider.voices)


class ServedModels:
    """All models of a server, of which at most some are in memory at a time. For one event loop.

    Args:
        providers: Names, the default one first; none: those of `specs`, else an embedded voice.
        models: Checkpoint, hub id or folder by provider.
        aliases: Further names of models, by name. They win over names of models.
        max_loaded: Most models in memory at a time; None: any number.
        memory_mb: Unload models above this much memory in MiB; 0: never.
        specs: Providers that are not installed, or are to be served in another form.
        who: The server, for messages.
        **settings: Further settings of every provider.

    Raises:
        RealTTSError: A provider is not installed, a setting is wrong, a model or an alias is of no provider.
    """

    def __init__(
        self,
        providers: Sequence[str] = (),
        *,
        models: Mapping[str, str] | None = None,
        aliases: Mapping[str, str] | None = None,
        max_loaded: int | None = None,
        memory_mb: int = 0,
        specs: Sequence[ProviderSpec] = (),
        who: str = "the server",
        **settings: Any,
    ) -> None:
        self._max_loaded, self._memory_mb, self._who = max_loaded, memory_mb, who
        self._models: dict[str, Served] = {}
        self._room = asyncio.Condition()
        self._waiting: list[tuple[float, Served]] = []  # since when, and for which model
        self._asking: set[asyncio.Task[None]] = set()
        models = models or {}
        for owner in models:
            if owner not in providers:
                what = f"a model is given for {owner!r}, which is not served"
                raise NoProvider(f"{what}{closest(owner, providers)}", who=who, fix="serve it too")
        try:
            own = {spec.name: spec for spec in specs}
            names: Sequence[str | None] = tuple(dict.fromkeys(providers)) or tuple(own) or (None,)
            for name in names:
                chosen = own.get(name, name) if name is not None else None
                provider = RealProvider(chosen, model=models.get(name or ""), **settings)
                self._models[provider.spec.name] = Served(provider.spec.name, provider)
            self.aliases = self._checked(aliases or {})
        except BaseException:
            self.close()
            raise

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
            UnknownProvider: There is none.
        """
        name = name.strip()
        known = self._models.get(self.aliases.get(name, name) if name else self.default)
        if known is None:
            names = [*self._models, *self.aliases]
            what = f"there is no model {name!r:.100}{closest(name, names)}"
            raise UnknownProvider(what, who=self._who, fix=f"choose from {enumeration(self._models)}")
        return known

    @contextlib.asynccontextmanager
    async def speaking(self, model: Served) -> AsyncIterator[RealProvider]:
        """Hold a model while a request speaks with it: it is not unloaded meanwhile.

        Raises:
            Busy: Other models speak, and there is no room for this one.
        """
        await self._make_room(model)
        try:
            yield model.provider
            if not model._asked and model.is_loaded:
                self._ask(model)
        finally:
            await self._release(model)

    async def preload(self) -> None:
        """Load the models, as many as may be in memory, the default one first."""
        for model in self.all[: self._max_loaded]:
            async with self.speaking(model) as provider:
                await asyncio.to_thread(provider.load)
                await model.ask_voices()

    def close(self, timeout_s: float | None = 5.0) -> None:
        """Cancel everything and free the models."""
        for model in self.all:
            with contextlib.suppress(RealTTSError):
                model.provider.close(timeout_s)

    def _checked(self, aliases: Mapping[str, str]) -> dict[str, str]:
        for alias, target in aliases.items():
            if target not in self._models:
                what = f"the alias {alias!r} means {target!r}, which is not served"
                fix = f"choose from {enumeration(self._models)}"
                raise NoProvider(f"{what}{closest(target, self._models)}", who=self._who, fix=fix)
        return dict(aliases)

    def _ask(self, model: Served) -> None:
        """Ask a model for its voices beside the requests, and hold it meanwhile."""
        model.users += 1
        task = asyncio.get_running_loop().create_task(self._ask_and_release(model))
        self._asking.add(task)
        task.add_done_callback(self._asking.discard)

    async def _ask_and_release(self, model: Served) -> None:
        try:
            await model.ask_voices()
        finally:
            await self._release(model)

    async def _release(self, model: Served) -> None:
        model.users -= 1
        model.used = time.monotonic()
        async with self._room:
            self._room.notify_all()

    async def _make_room(self, model: Served) -> None:
        """Count the request, once the model is in memory or may be loaded."""
        if not _has_place(model) or self._must_yield(model):
            waiting = (time.monotonic(), model)
            self._waiting.append(waiting)
            try:
                async with self._room:
                    await self._unload_others(model)
            finally:
                self._waiting.remove(waiting)
        now = time.monotonic()
        if not _has_place(model):
            model.placed = now
        model.users += 1
        model.used = now

    async def _unload_others(self, model: Served) -> None:
        """Unload what was not used for the longest time until the model may be loaded, or has its turn again."""
        deadline = time.monotonic() + _WAIT_S
        while True:
            yields = self._must_yield(model)
            others = [] if _has_place(model) else self._too_many(model)
            idle = [other for other in others if not other.users]
            if not (yields or others):
                return
            if idle and not yields:
                await self._unload(min(idle, key=lambda other: other.used), model)
                continue
            if time.monotonic() >= deadline:
                what = "all places in memory are taken by models that speak"
                busy = Busy(what, who=self._who, fix="try again later")
                busy.wait_s = _RETRY_S
                raise busy
            with contextlib.suppress(asyncio.TimeoutError):  # on Python 3.10 not the built-in one
                await asyncio.wait_for(self._room.wait(), _LOOK_S)

    async def _unload(self, oldest: Served, model: Served) -> None:
        _log.info("unloading %s to make room for %s", oldest.name, model.name)
        oldest.leaving = True
        try:
            await asyncio.to_thread(oldest.provider.unload)
        finally:
            oldest.leaving = False

    def _must_yield(self, model: Served) -> bool:
        """Tell whether new requests for a model wait, because others have waited for a place in memory long enough.

        Without that a model that is asked for all the time would never be unloaded.
        """
        now = time.monotonic()
        if not any(now - since > _TURN_S and not _has_place(wanted) for since, wanted in self._waiting):
            return False
        placed = [other for other in self.all if _has_place(other)]
        return bool(placed) and model is min(placed, key=lambda other: other.placed)

    def _too_many(self, model: Served) -> list[Served]:
        """Return the loaded models if another one is too much for them, else nothing."""
        loaded = [other for other in self.all if other is not model and _has_place(other)]
        if self._max_loaded is not None and len(loaded) >= self._max_loaded:
            return loaded
        return loaded if self._memory_mb and memory_mb() >= self._memory_mb else []


def _has_place(model: Served) -> bool:
    """Tell whether a model is in memory, or will be as soon as the requests that have it are there."""
    return model.is_loaded or bool(model.users)


def memory_mb() -> float:
    """Return the resident memory of the server and its workers in MiB."""
    own = psutil.Process()
    total = own.memory_info().rss
    for child in own.children(recursive=True):
        with contextlib.suppress(psutil.Error):
            total += child.memory_info().rss
    return float(total) / 2**20
