"""A program: show, in an environment, that its plugin works there, and write down what is in it."""

from __future__ import annotations

import argparse
import json
import platform
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import importlib_metadata

from realtts import RealProvider
from realtts.exception_text import describe_error, format_traceback
from realtts.registry import providers as registry
from realtts.registry.variants import import_object
from realtts.wire.specs import spec_to_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from realtts.contract.spec import ProviderSpec

__all__ = ["main"]

_MATTER = ("torch", "torchaudio", "transformers", "numpy")
_WORDS = "One, two, three."


def main(arguments: Sequence[str] | None = None) -> int:
    """Import the provider, let it speak if that is wanted, and write what was found as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name")
    parser.add_argument("out", type=Path)
    parser.add_argument("--speak", choices=("never", "free", "always"), default="free", help="free: without weights")
    options = parser.parse_args(arguments)
    try:
        content = _proved(options.name, options.speak)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        content = {"error": describe_error(error), "traceback": format_traceback(error)}
    options.out.write_text(json.dumps(content), encoding="utf-8")
    return 0


def _proved(name: str, speak: str) -> dict[str, Any]:
    spec = registry.get_spec(name)
    import_object(spec.plain)
    warning = ""
    if spec.optimized is not None:
        try:
            import_object(spec.optimized)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # it speaks without; at each load the ladder will say the same
            warning = f"its optimized variant cannot be imported: {describe_error(error)}"
    free = not spec.torch and not spec.checkpoints
    seconds = _spoken(spec) if speak == "always" or (speak == "free" and free) else None
    distribution, _ = registry.distribution_of(name)
    return {
        "error": None,
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
    sys.exit(main())
