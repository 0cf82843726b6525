"""The Wyoming server of realtts, for Home Assistant and other clients of the protocol.

    realtts wyoming --uri tcp://0.0.0.0:10200 espeak

`WyomingServer` is the same inside a program of one's own. Stands on `realtts.RealProvider` alone: it touches no ladder
and no plugin.
"""

from realtts.lazy import public_names

__version__ = "0.1.0"
# On demand, because the command line imports the package for the command's help.
__getattr__, __dir__, __all__ = public_names(__name__, "__version__")
