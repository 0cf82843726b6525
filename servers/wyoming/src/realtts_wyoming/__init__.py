"""The Wyoming server of realtts, for Home Assistant and other clients of the protocol.

    realtts wyoming --uri tcp://0.0.0.0:10200 espeak

`WyomingServer` is the same inside a program of one's own. Stands on `realtts.RealProvider` alone: it touches no ladder
and no plugin.
"""

from realtts_wyoming.config import WyomingConfig
from realtts_wyoming.server import WyomingServer

__version__ = "0.1.0"
__all__ = ["WyomingConfig", "WyomingServer", "__version__"]
