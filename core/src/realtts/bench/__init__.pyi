from realtts.bench.compare import (
    compare_records as compare_records,
    load_record as load_record,
)
from realtts.bench.load import (
    run_load as run_load,
)
from realtts.bench.load_source import (
    Load as Load,
)
from realtts.bench.quality import (
    SpokenText as SpokenText,
    add_quality as add_quality,
    check_speech as check_speech,
    spoken_texts as spoken_texts,
)
from realtts.bench.recordings import (
    Recording as Recording,
    check_recording as check_recording,
    check_recordings as check_recordings,
    read_transcripts as read_transcripts,
)
from realtts.bench.runner import (
    run_bench as run_bench,
)
from realtts.bench.tools import (
    PluginTools as PluginTools,
    find_tools as find_tools,
    random_checkpoint as random_checkpoint,
)
from realtts.bench.verify import (
    Check as Check,
    run_verify as run_verify,
)
from realtts.bench.workload import (
    TEXT_SETS as TEXT_SETS,
    Text as Text,
    Workload as Workload,
)
