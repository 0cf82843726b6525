"""The OpenAI-compatible speech server of realtts.

    realtts serve espeak

`create_app` makes the ASGI application for other servers than the one that the command starts. Stands on
`realtts.RealProvider` alone: it touches no ladder and no plugin.
"""

from realtts_http.app import create_app
from realtts_http.config import ServeConfig

__version__ = "0.1.0"
__all__ = ["ServeConfig", "__version__", "create_app"]
