from realtts.checkpoints.fetching import (
    fetch as fetch,
)
from realtts.checkpoints.fetching import (
    plan as plan,
)
from realtts.checkpoints.files import (
    Files as Files,
)
from realtts.checkpoints.inventory import (
    Kept as Kept,
)
from realtts.checkpoints.inventory import (
    inventory as inventory,
)
from realtts.checkpoints.inventory import (
    remove as remove,
)
from realtts.checkpoints.planning import (
    DownloadPlan as DownloadPlan,
)
from realtts.checkpoints.planning import (
    PlannedFile as PlannedFile,
)
