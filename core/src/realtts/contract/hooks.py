"""The stages of a provider, as pluggy hook specifications. Specifications only, no logic.

Each hook is called on exactly one implementation: ``optimized``'s when the rung is an optimized one and the class
defines the hook, else ``plain``'s. Return values never select. No hook runs inside a decode loop.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from realtts.contract.context import Context, Rung
    from realtts.contract.continuous import Arrivals, RowItem
    from realtts.contract.types import Chunk, Request, VoiceInfo

__all__ = ["STAGES", "ProviderHooks", "hookimpl", "hookspec"]

hookspec = pluggy.HookspecMarker("realtts")
hookimpl = pluggy.HookimplMarker("realtts")
"""Marks a method as the implementation of the hook of the same name."""

STAGES = ("load", "convert_precision", "compile", "warmup", "generate")
"""The stages in the order in which a rung passes them."""


class ProviderHooks:
    """What a variant may implement. Only `load` and `generate` are required, and only of ``plain``."""

    @hookspec(firstresult=True)
    def rungs(self, context: Context) -> Sequence[Rung] | None:
        """Propose the rungs of this variant, fastest first.

        Called once before the first load, without a model. Default: one rung named after the variant.
        """

    @hookspec(firstresult=True)
    def probe(self, context: Context) -> str | None:
        """Say why this rung cannot run here, or None. Cheap; called before the rung's `load`."""

    @hookspec(firstresult=True)
    def load(self, context: Context) -> Any:
        """Load the weights to the device and return the model, any object of the plugin's own."""

    @hookspec(firstresult=True)
    def convert_precision(self, context: Context, model: Any) -> None:
        """Cast what is safe to ``context.dtype`` and keep the float32 islands. Mutates the model."""

    @hookspec(firstresult=True)
    def compile(self, context: Context, model: Any) -> None:
        """Prepare torch.compile, CUDA graphs or quantized kernels. Mutates the model."""

    @hookspec(firstresult=True)
    def warmup(self, context: Context, model: Any) -> None:
        """Run the model until it is compiled, captured and steady. Mutates the model."""

    @hookspec(firstresult=True)
    def generate(self, context: Context, model: Any, request: Request) -> Iterator[Chunk]:
        """Speak one request, yielding chunks as they are ready.

        Reads ``request.cancelled()`` at every step and returns when it is true. The iterator is created, advanced
        and closed in one thread.
        """

    @hookspec(firstresult=True)
    def generate_batch(self, context: Context, model: Any, requests: Sequence[Request]) -> Iterator[tuple[int, Chunk]]:
        """Speak several requests as rows of one batch; the index says whose chunk it is. Optional."""

    @hookspec(firstresult=True)
    def generate_continuous(self, context: Context, model: Any, arrivals: Arrivals) -> Iterator[RowItem | None]:
        """Speak requests that join and leave a running batch. Optional; used in place of `generate` where it is there.

        Takes rows by ``arrivals.take`` whenever it has room, and yields ``(number, Chunk)``, ``(number, RowEnd())``,
        ``(number, RowFailed(error))``, or None after a step that has made nothing: at least once per step, since
        cancellations and new requests pass between two yields. Every row gets exactly one end, a cancelled one within
        a step. Returns when it has no row and nothing arrives; it is called again for the next request, so whatever is
        to last belongs to the model. Raises only when no row can go on: the rung is given up then.
        """

    @hookspec(firstresult=True)
    def voices(self, context: Context, model: Any) -> Sequence[VoiceInfo]:
        """List the built-in voices. Optional; default: none."""

    @hookspec(firstresult=True)
    def unload(self, context: Context, model: Any) -> None:
        """Let go of everything that `load` and later stages took. Optional: references are dropped in any case."""
