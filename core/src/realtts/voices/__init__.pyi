from realtts.contract.voice_cache import (
    VoiceCache as VoiceCache,
)
from realtts.voices.reference import (
    check as check,
    load as load,
)
from realtts.voices.store import (
    SavedVoice as SavedVoice,
    VoiceStore as VoiceStore,
)
