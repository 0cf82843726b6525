"""The class names of the first Chatterbox document: programs written to it change nothing but their import."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from realtts.provider.facade import RealProvider

if TYPE_CHECKING:
    import os

__all__ = ["OptimizedChatterboxProvider", "RealChatterboxProvider"]


class RealChatterboxProvider(RealProvider):
    """`RealProvider("chatterbox")`.

    Args:
        model: Checkpoint: ``"english"``, ``"multilingual"``, ``"turbo"``, a hub id or a local folder.
        settings: Fields of `realtts.Settings`.
    """

    def __init__(self, *, model: str | os.PathLike[str] | None = None, **settings: Any) -> None:
        super().__init__("chatterbox", model=model, **settings)


class OptimizedChatterboxProvider(RealChatterboxProvider):
    """The same with that document's names of the settings; None: environment, file and hardware decide.

    Args:
        device: Setting ``device``.
        dtype: Setting ``dtype``: ``"float32"``, ``"float16"`` or ``"bfloat16"``.
        use_compilation: Settings ``compile`` and ``cuda_graphs``: with the document's name for both.
        cpu_offload: Setting ``cpu_offload``.
        model: As of `RealChatterboxProvider`.
        settings: Further fields of `realtts.Settings`.
    """

    def __init__(
        self,
        device: str | None = None,
        dtype: str | None = None,
        use_compilation: bool | None = None,
        cpu_offload: bool | None = None,
        *,
        model: str | os.PathLike[str] | None = None,
        **settings: Any,
    ) -> None:
        graphs = None if use_compilation is None else ("auto" if use_compilation else False)
        renamed = {"dtype": dtype, "compile": graphs, "cuda_graphs": graphs, "cpu_offload": cpu_offload}
        super().__init__(
            model=model, device=device, **{**{k: v for k, v in renamed.items() if v is not None}, **settings}
        )
