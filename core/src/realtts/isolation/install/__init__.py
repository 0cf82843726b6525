"""Making isolated environments: what ``realtts install``, ``uninstall`` and ``envs`` do.

`making` is the way from a name to an environment, `staging` reads the plugin's spec before anything is resolved,
`requirements` lets nothing but requirements through to uv, `building` resolves and installs with it, `proving` shows
that the result works, `keeping` switches, lists and removes.
"""

from realtts.lazy import public_names

# Imported at first use: `proof` runs where neither uv nor what reads requirements is installed.
__getattr__, __dir__, __all__ = public_names(__name__)
