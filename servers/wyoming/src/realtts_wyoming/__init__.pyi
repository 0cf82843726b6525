from realtts_wyoming.config import WyomingConfig as WyomingConfig
from realtts_wyoming.server import WyomingServer as WyomingServer

__version__: str
