"""realtts: open text-to-speech models behind one small face, on the fastest path that really works.

    from realtts import RealProvider

    with RealProvider("espeak") as tts:
        tts.generate("Hello there.").save("hello.wav")

Names are imported when they are first used, so that ``import realtts`` costs next to nothing.
"""

from realtts.lazy import public_names

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = public_names(__name__, "__version__")
