"""The command line ``realtts``.

May import everything.
"""

from __future__ import annotations

__all__ = ["main"]


def main() -> None:
    """Run the script ``realtts``."""
    # Imported here, so that whoever imports the package for something else does not pay for it.
    from realtts.cli.app import run

    raise SystemExit(run())
