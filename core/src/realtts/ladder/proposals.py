"""The rungs that a provider proposes, from fastest to plainest, and what the hooks of each are told."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from realtts.contract.context import Context, Rung
from realtts.errors import InvalidPlugin, SettingsError
from realtts.exception_text import describe_error, shown
from realtts.ladder.failures import StageError, Unavailable
from realtts.ladder.promises import broken_promise
from realtts.ladder.rung import LiveRung
from realtts.machine.hardware import resolve_device, resolve_dtype, slow_dtype
from realtts.registry.variants import Variants, register

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Sequence

    from realtts.contract.events import Event
    from realtts.contract.spec import Checkpoint, ProviderSpec
    from realtts.contract.stages import StageLog
    from realtts.contract.voice_cache import VoiceCache
    from realtts.settings import Layers, Settings

__all__ = ["LadderSetup", "Proposal", "Proposals"]


@dataclass(frozen=True)
class LadderSetup:
    """What all rungs of a ladder have in common.

    Attributes:
        spec: The provider.
        layers: Settings and where they came from.
        checkpoint: What to load.
        voice_cache: Cache for speaker conditioning, handed to the hooks.
        report: Receives every event.
    """

    spec: ProviderSpec
    layers: Layers
    checkpoint: Checkpoint | None
    voice_cache: VoiceCache
    report: Callable[[Event], None]


@dataclass(frozen=True)
class Proposal:
    """A rung of one variant.

    Attributes:
        variant: ``"optimized"`` or ``"plain"``.
        rung: Its name and settings.
        failure: Why the variant cannot even be asked for rungs; None: it was asked.
    """

    variant: str
    rung: Rung
    failure: StageError | None = None


class Proposals:
    """What the variants of a provider propose under these settings; both are asked once, at the first need.

    Args:
        setup: What the rungs have in common.
        stages: The clock of `generate`.
        log: The provider's.
    """

    def __init__(self, setup: LadderSetup, *, stages: StageLog, log: logging.Logger) -> None:
        self._setup, self._spec = setup, setup.spec
        self._settings: Settings = _exact(setup.layers)
        self._stages, self._log = stages, log
        self._variants: Variants | None = None
        self._all: tuple[Proposal, ...] = ()
        self._warned = False

    def all(self) -> tuple[Proposal, ...]:
        """Return all rungs, fastest first.

        Raises:
            PluginError: The provider's classes are at fault, or a rung is.
        """
        if not self._all:
            variants = self._registered()
            optimized = self._spec.optimized is not None and self._settings.optimize
            proposals: list[Proposal] = []
            for variant in ("optimized", "plain") if optimized else ("plain",):
                try:
                    proposals.extend(Proposal(variant, rung) for rung in self._rungs(variant, variants))
                except StageError as failure:
                    proposals.append(Proposal(variant, Rung(variant), failure))
            self._all = tuple(proposals)
        return self._all

    def rung(self, proposal: Proposal) -> LiveRung:
        """Make the rung of a proposal; nothing is loaded yet.

        Raises:
            StageError: Its variant cannot be asked, it contradicts the user's precision policy, or it wants a device
                that is not there.
            SettingsError: The user wants such a device.
        """
        if proposal.failure is not None:
            raise proposal.failure
        try:
            context = self._context(proposal.variant, proposal.rung)
        except SettingsError as error:
            if "device" not in proposal.rung.settings:
                raise
            raise StageError("probe", Unavailable(error.what)) from error  # the plugin's wish, not the user's
        return LiveRung(self._registered(), context)

    def forget(self) -> None:
        """Construct the provider's classes anew and ask them again."""
        self._all, self._variants = (), None

    def _rungs(self, variant: str, variants: Variants) -> Sequence[Rung]:
        """Return the rungs that a variant proposes.

        Raises:
            StageError: The variant cannot be imported, or its hook failed.
            InvalidPlugin: It proposes something that is not a rung.
        """
        default = (Rung(variant),)
        if variant == "optimized" and variants.optimized_error is not None:
            raise StageError("load", variants.optimized_error)
        if not variants.defines(variant, "rungs"):
            return default
        context = self._context(variant, None)
        try:
            rungs = tuple(variants.call(variant, "rungs", context=context) or default)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            raise StageError("rungs", error) from error
        for rung in rungs:
            if not isinstance(rung, Rung):
                raise self._invalid(variant, f"rungs returned {type(rung).__name__}", "return realtts.Rung objects")
            if not isinstance(rung.name, str):
                raise self._invalid(variant, f"rungs returned {shown(rung)}", "give every realtts.Rung a name")
            with contextlib.suppress(StageError):  # told when the rung is tried
                self._with_rung(rung, variant)  # an unknown setting is refused before any load
        return rungs

    def _warn_of_slowness(self, device: str) -> None:
        named = self._settings.dtype
        if self._spec.torch and not self._warned and slow_dtype(named, device):
            self._warned = True
            self._log.warning(
                "%s: this CPU has no instructions for dtype='%s': float32 is faster here, and more exact. "
                "Leave dtype='auto' (REALTTS_DTYPE=auto)", self._spec.name, named,
            )  # fmt: skip

    def _registered(self) -> Variants:
        if self._variants is None:
            self._variants = register(self._spec)
        return self._variants

    def _context(self, variant: str, rung: Rung | None) -> Context:
        settings = self._settings if rung is None else self._with_rung(rung, variant)
        device = resolve_device(settings.device, self._spec, self._setup.layers.sources.get("device"))
        if variant == "optimized":
            self._warn_of_slowness(device)
        return Context(
            spec=self._spec,
            settings=settings,
            variant=variant,
            device=device,
            dtype=resolve_dtype(settings.dtype, device) if variant == "optimized" else "float32",
            rung=rung,
            checkpoint=self._setup.checkpoint,
            voice_cache=self._setup.voice_cache,
            log=self._log,
            report=self._setup.report,
            stages=self._stages,
        )

    def _with_rung(self, rung: Rung, variant: str) -> Settings:
        """Return the settings with the rung's changes applied and validated.

        Raises:
            StageError: The rung is less exact than what the user has named.
            InvalidPlugin: It changes what is no setting, or to a value that is not allowed.
        """
        named = self._settings.model_dump(exclude_unset=True)
        try:
            broken = broken_promise(named, rung.settings)
            if broken is not None:  # the plugin's wish, not the user's: a rung for other users
                raise StageError("probe", Unavailable(broken))
            return type(self._settings)(**{**named, **rung.settings})
        except StageError:
            raise
        except Exception as error:  # names that are no text, and values that are not even of Python's own types
            what = error.what if isinstance(error, SettingsError) else describe_error(error)
            raise self._invalid(
                variant,
                f"rung {shown(rung.name)} sets {shown(dict(rung.settings))}: {what}",
                "change only fields of realtts.Settings, to values that they allow",
            ) from None

    def _invalid(self, variant: str, what: str, fix: str) -> InvalidPlugin:
        return InvalidPlugin(what, who=f"provider {self._spec.name!r} ({variant})", fix=fix)


def _exact(layers: Layers) -> Settings:
    """Switch TF32 off where the user named float32: its products keep ten bits of each factor.

    Naming ``tf32`` or ``matmul_precision`` as well says that they are wanted.
    """
    named = layers.sources.keys() & {"tf32", "matmul_precision"}
    if layers.settings.dtype != "float32" or named:
        return layers.settings
    return layers.settings.model_copy(update={"tf32": False})
