from realtts.checkpoints.fetching import (
    fetch as fetch,
    plan as plan,
)
from realtts.checkpoints.files import (
    Files as Files,
)
from realtts.checkpoints.listing import (
    Kept as Kept,
    inventory as inventory,
    remove as remove,
)
from realtts.checkpoints.planning import (
    DownloadPlan as DownloadPlan,
    PlannedFile as PlannedFile,
    folder_of as folder_of,
)
