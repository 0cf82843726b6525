from realtts.isolation.install.keeping import (
    InstalledEnvironment as InstalledEnvironment,
    installed_environments as installed_environments,
    uninstall as uninstall,
)
from realtts.isolation.install.making import (
    InstallRequest as InstallRequest,
    distribution_name as distribution_name,
    install as install,
)
