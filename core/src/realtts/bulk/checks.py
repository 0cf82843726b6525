"""What of a job is checked before any work: the values that hold for every row, and the files that it asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from realtts.audio import encode
from realtts.audio.formats import by_name
from realtts.errors import InvalidOption
from realtts.registry.extensions import Extensions
from realtts.synthesis.plan import Ask, make_outline
from realtts.voices.lookup import builtin_voice, find_voice

if TYPE_CHECKING:
    from realtts.bulk.job import BulkJob
    from realtts.bulk.speaking import Defaults
    from realtts.contract.types import Voice
    from realtts.provider.facade import RealProvider

__all__ = ["check_job"]

_RATE = 24_000


def check_job(job: BulkJob, tts: RealProvider, *, aligned: bool) -> None:
    """Check what would be wrong with every row alike.

    Args:
        job: The job.
        tts: Who speaks; it is not loaded.
        aligned: Whether a row asks for the times of its words by listening.

    Raises:
        InputError: A value is wrong, or captions cannot be made.
        OutputError: The format cannot be written here.
        MissingExtra, CheckpointError: There is no recognizer to listen with.
    """
    _check_captions(job, tts, aligned=aligned)
    if by_name(job.format).is_aac:
        encode(np.zeros(_RATE // 10, np.float32), _RATE, job.format)  # needs a program or a library
    defaults = job.defaults
    here = job.ray is None  # else voices, weights and recognizers are the cluster's
    ask = Ask(
        voice=_checked_voice(defaults, tts) if here else None,
        language=defaults.language,
        seed=job.seed,
        speed=defaults.speed,
        options=defaults.options,
        normalize=defaults.normalize,
        check_words=defaults.check_words and here,
        timestamps=defaults.timestamps if here else None,
    )
    make_outline(ask, spec=tts.spec, settings=tts.settings, extensions=Extensions())


def _checked_voice(defaults: Defaults, tts: RealProvider) -> Voice | str | None:
    """Return the voice of all rows, looked up as far as that needs no model."""
    spec, settings = tts.spec, tts.settings
    voice = find_voice(defaults.voice, reference_text=defaults.reference_text, spec=spec, settings=settings)
    names = tts.voices(load=False) if isinstance(voice, str) and "clone" not in spec.capabilities else []
    return builtin_voice(str(voice), names, spec=spec, settings=settings) if names else voice


def _check_captions(job: BulkJob, tts: RealProvider, *, aligned: bool) -> None:
    if not job.captions or "marks" in tts.spec.capabilities or aligned or job.defaults.timestamps is not None:
        return
    what = f"provider {tts.spec.name!r} gives no timings"
    fix = "leave captions out, find the times by listening (timestamps 'align'), or use a provider with 'marks'"
    raise InvalidOption(what, who="captions", fix=fix)
