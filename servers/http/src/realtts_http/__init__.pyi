from realtts_http.app import create_app as create_app
from realtts_http.config import ServeConfig as ServeConfig

__version__: str
