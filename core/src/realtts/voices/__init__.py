"""Voices to clone: recordings read and checked, kept under a name, and what models make of them cached.

May import text, audio and what stands below them.
"""

from realtts.lazy import public_names

# On demand, because the store's list and the cache need no numpy, which costs more than all the rest together.
__getattr__, __dir__, __all__ = public_names(__name__)
