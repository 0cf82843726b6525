"""Weights: a checkpoint's name, hub id or local folder becomes the files that a plugin needs.

A plugin calls `fetch` in its `load` and gets paths; what is missing is downloaded into the hub library's own cache,
so that models which other tools have downloaded are used as they are. Nothing is unpickled or opened as a model here.

The extra ``realtts[hub]`` brings `huggingface_hub`, which is imported when something has to be asked of the hub.

May import registry, machine and what stands below them.
"""

from realtts.lazy import public_names

__getattr__, __dir__, __all__ = public_names(__name__)
