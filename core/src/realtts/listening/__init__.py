"""Listening to speech: a recognizer hears it, and its words are held against the text that was to be said.

    hearing = listen(find_recognizer(), speech.samples, speech.sample_rate, speech.text, language="en")
    print(hearing.account.rate, [word.text for word in hearing.account.missing])

Stands below the ladder, so that `synthesis` can check what it makes. Needs the extra ``realtts[listen]``, which is
imported at first use. May import checkpoints, registry, text, audio and what stands below them.
"""

from realtts.lazy import public_names

__getattr__, __dir__, __all__ = public_names(__name__)
