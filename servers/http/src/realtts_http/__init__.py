"""The OpenAI-compatible speech server of realtts.

    realtts serve espeak

`create_app` makes the ASGI application for other servers than the one that the command starts. Stands on
`realtts.RealProvider` alone: it touches no ladder and no plugin.
"""

from realtts.lazy import public_names

__version__ = "0.1.0"
# On demand, because the command line imports the package for the command's help.
__getattr__, __dir__, __all__ = public_names(__name__, "__version__")
