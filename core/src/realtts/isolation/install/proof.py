"""A program: show, in an environment, that its plugin works there, and write down what is in it."""

from __future__ import annotations

import platform
import sys
from typing import TYPE_CHECKING, Any

import importlib_metadata

from realtts import RealProvider
from realtts.registry import providers as registry
from realtts.registry.variants import import_object
from realtts.wire.child import serve
from realtts.wire.specs import spec_to_json

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from realtts.contract.spec import ProviderSpec

__all__ = ["prove"]

_MATTER = ("torch", "torchaudio", "transformers", "numpy")
_WORDS = "One, two, three."


def prove(job: dict[str, str], _: Callable[[str], None]) -> dict[str, Any]:
    """Import the provider ``name``, let it speak if that is wanted, and return what the environment holds.

    ``speak`` is ``"never"``, ``"free"`` (only what needs no weights) or ``"always"``.
    """
    name, speak = job["name"], job["speak"]
    spec = registry.get_spec(name)
    import_object(spec.plain)
    warning = ""
    if spec.optimized is not None:
        try:
            import_object(spec.optimized)
        except Exception as error:  # it speaks without; at each load the ladder will say the same
            warning = f"its optimized variant cannot be imported: {type(error).__name__}: {error}"
    free = not spec.torch and not spec.checkpoints
    seconds = _spoken(spec) if speak == "always" or (speak == "free" and free) else None
    distribution, _version = registry.distribution_of(name)
    return {
        "warning": warning,
        "seconds": seconds,
        "spec": spec_to_json(spec),
        "core_version": importlib_metadata.version("realtts"),
        "distribution": distribution,
        "versions": {"python": platform.python_version(), **_versions(("realtts", distribution, *_MATTER))},
    }


def _spoken(spec: ProviderSpec) -> float:
    """Speak a few words and return the seconds of audio; silence counts as a failure of its stage."""
    with RealProvider(spec.name, isolation="never") as provider:
        return provider.generate(_WORDS).duration


def _versions(names: Sequence[str]) -> dict[str, str]:
    versions: dict[str, str] = {}
    for name in names:
        try:
            versions[name] = importlib_metadata.version(name)
        except importlib_metadata.PackageNotFoundError:
            continue
    return versions


if __name__ == "__main__":
    sys.exit(serve(prove))
