from realtts.contract.voice_cache import (
    VoiceCache as VoiceCache,
)
from realtts.voices.reference import (
    check as check,
)
from realtts.voices.reference import (
    load as load,
)
from realtts.voices.store import (
    SavedVoice as SavedVoice,
)
from realtts.voices.store import (
    VoiceStore as VoiceStore,
)
