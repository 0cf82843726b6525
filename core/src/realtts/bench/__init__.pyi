from realtts.bench.compare import (
    compare_records as compare_records,
)
from realtts.bench.compare import (
    load_record as load_record,
)
from realtts.bench.runner import (
    run_bench as run_bench,
)
from realtts.bench.tools import (
    PluginTools as PluginTools,
)
from realtts.bench.tools import (
    find_tools as find_tools,
)
from realtts.bench.tools import (
    random_checkpoint as random_checkpoint,
)
from realtts.bench.verify import (
    Check as Check,
)
from realtts.bench.verify import (
    run_verify as run_verify,
)
from realtts.bench.workload import (
    TEXT_SETS as TEXT_SETS,
)
from realtts.bench.workload import (
    Text as Text,
)
from realtts.bench.workload import (
    Workload as Workload,
)
