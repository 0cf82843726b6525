"""Making isolated environments: what ``realtts install``, ``uninstall`` and ``envs`` do.

`making` is the way from a name to an environment, `staging` reads the plugin's spec before anything is resolved,
`building` resolves and installs with uv, `proving` shows that the result works, `keeping` switches, lists and removes.
"""

from __future__ import annotations

from realtts.isolation.install.keeping import InstalledEnvironment, installed_environments, uninstall
from realtts.isolation.install.making import InstallRequest, distribution_name, install

__all__ = [
    "InstallRequest",
    "InstalledEnvironment",
    "distribution_name",
    "install",
    "installed_environments",
    "uninstall",
]
