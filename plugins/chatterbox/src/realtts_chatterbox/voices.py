"""From a reference recording to conditionals: upstream's ``prepare_conditionals``, without its faults.

Conditionals are never changed: networks get copies. Everything is float32 (with numpy 2 upstream's loudness step turns
it into float64), and nothing is stored on a model.
"""

from __future__ import annotations

import contextlib
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from realtts.accel.upstream.calls import quiet
from realtts.accel.voices.values import owned
from realtts.accel.weights.tensorfile import read_pickled
from realtts.errors import VoiceUnsuitable
from realtts.kit.reading import MALFORMED, mismatch, unreadable
from realtts.kit.voices import no_voice, voice_key
from realtts_chatterbox.conditionals import Conditionals
from realtts_chatterbox.constants import ENCODER_RATE, RATE
from realtts_chatterbox.presets import DEFAULT
from realtts_chatterbox.upstream import module

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from realtts.accel.voices.disk_cache import DiskVoiceCache
    from realtts.contract.context import Context
    from realtts.contract.types import Request, Voice, VoiceInfo
    from realtts.contract.voice_cache import VoiceCache
    from realtts_chatterbox.building import Encoders
    from realtts_chatterbox.weights import Weights

__all__ = ["conditionals_of", "listed", "read_builtin", "to_upstream", "voice_of"]

_PROMPT_S = 10
_T3_PROMPT = {"english": (6, 150), "multilingual": (6, 150), "turbo": (15, 375)}
"""Seconds of the recording, and most tokens of it, that T3 reads."""

_TURBO_LEAST_S = 5.0
_TURBO_LUFS = -27.0


def read_builtin(path: Path) -> Conditionals:
    """Read the voice that comes with the checkpoint.

    Raises:
        CheckpointCorrupt: The file cannot be read.
        CheckpointMismatch: A tensor is missing in it.
    """
    content = read_pickled(path)
    try:
        t3, gen = content["t3"], content["gen"]
        prompt = t3["cond_prompt_speech_tokens"]
        tokens, mel = torch.atleast_2d(gen["prompt_token"]).long(), gen["prompt_feat"].float()
        pairs = min(tokens.shape[1], mel.shape[1] // 2)  # two frames for every token
        return Conditionals(  # copied, because the file is mapped
            speaker=t3["speaker_emb"].float().view(1, -1).clone(),
            t3_tokens=None if prompt is None else torch.atleast_2d(prompt).long().clone(),
            tokens=tokens[:, :pairs].clone(),
            mel=mel[:, : 2 * pairs].clone(),
            embedding=torch.atleast_2d(gen["embedding"]).float().clone(),
        )
    except KeyError as error:
        raise mismatch(f"the tensor {error} is missing", f"file {path.name!r}") from error
    except (*MALFORMED, RuntimeError) as error:
        raise unreadable(path, error) from error


def voice_of(
    context: Context,
    request: Request,
    weights: Weights,
    encoders: Callable[[], Encoders],
    *,
    cache: VoiceCache | DiskVoiceCache | None = None,
) -> Conditionals:
    """Return the conditionals of a request's voice, from a cache or computed now.

    Args:
        context: Of the stage.
        request: The request.
        weights: The checkpoint.
        encoders: Returns the networks that make conditionals; called when a voice is not in the cache.
        cache: Default: the context's, in memory.

    Raises:
        VoiceUnsuitable: The recording is too short for Turbo, or no voice is in it.
        VoiceNotFound: The checkpoint has no built-in voice, or none of that name.
    """
    voice, builtin = request.voice, weights.builtin
    if voice is None or isinstance(voice, str):
        if builtin is None or voice not in {None, DEFAULT.id}:
            ids = [info.id for info in listed(builtin)]
            raise no_voice(voice, ids, "chatterbox", instead="give voice= a recording")
        return builtin
    kind = weights.configuration.name
    check_length(voice, kind)
    # As a dictionary of tensors: a cache on disk stores no other objects.
    tensors = (cache or context.voice_cache).get_or_compute(
        voice_key(voice, "chatterbox", kind, weights.identity),
        lambda: dict(vars(conditionals_of(voice, encoders(), kind))),
    )
    return Conditionals(**tensors)


def listed(builtin: Conditionals | None) -> list[VoiceInfo]:
    """List the voice that comes with the checkpoint, if one does."""
    if builtin is None:
        return []
    return [DEFAULT]


def check_length(voice: Voice, kind: str) -> None:
    """Refuse a recording that is too short, before anything is computed.

    Raises:
        VoiceUnsuitable: Turbo needs more than 5 s.
    """
    if kind == "turbo" and voice.duration <= _TURBO_LEAST_S:
        raise VoiceUnsuitable(
            f"the recording lasts {voice.duration:.1f} s", who=f"voice {voice.name!r}",
            fix=f"give Turbo more than {_TURBO_LEAST_S:.0f} s of the speaker",
        )  # fmt: skip


def conditionals_of(voice: Voice, encoders: Encoders, kind: str) -> Conditionals:
    """Compute the conditionals of a recording.

    Args:
        voice: The recording.
        encoders: Upstream's networks.
        kind: Name of the model.

    Returns:
        Tensors on the CPU, whatever device the encoders lie on.

    Raises:
        VoiceUnsuitable: It is too short for Turbo, or no voice is in it.
    """
    check_length(voice, kind)
    librosa = module("librosa")
    wide = np.ascontiguousarray(voice.samples, np.float32)
    if voice.sample_rate != RATE:
        wide = librosa.resample(wide, orig_sr=voice.sample_rate, target_sr=RATE)
    if kind == "turbo":
        wide = _levelled(wide)
    narrow = librosa.resample(wide, orig_sr=RATE, target_sr=ENCODER_RATE)
    seconds, most = _T3_PROMPT[kind]
    with quiet(), torch.inference_mode():
        prompt, _ = encoders.tokenizer.forward([narrow[: seconds * ENCODER_RATE]], max_len=most)
        speaker = torch.from_numpy(encoders.voice.embeds_from_wavs([narrow], sample_rate=ENCODER_RATE))
        tokens, mel, embedding = _flow_prompt(wide[: _PROMPT_S * RATE], encoders)
    if not torch.isfinite(speaker).all() or not tokens.numel():
        raise VoiceUnsuitable("no voice is found in it", who=f"voice {voice.name!r}", fix="give a clear recording")
    return Conditionals(
        speaker=owned(speaker.mean(0, keepdim=True)),
        t3_tokens=owned(torch.atleast_2d(prompt)),
        tokens=owned(tokens),
        mel=owned(mel),
        embedding=owned(embedding),
    )


def to_upstream(conditionals: Conditionals, exaggeration: float, device: str = "cpu") -> tuple[Any, dict[str, Any]]:
    """Copy conditionals into upstream's ``T3Cond`` and the dictionary of its S3Gen; upstream changes both in place."""
    copy = {
        name: None if tensor is None else tensor.to(device, copy=True)
        for name, tensor in vars(conditionals).items()
    }  # fmt: skip
    t3 = module("chatterbox.models.t3.modules.cond_enc").T3Cond(
        speaker_emb=copy["speaker"],
        cond_prompt_speech_tokens=copy["t3_tokens"],
        emotion_adv=torch.full((1, 1, 1), float(exaggeration), device=device),
    )
    gen = {
        "prompt_token": copy["tokens"],
        "prompt_token_len": torch.tensor([conditionals.tokens.shape[1]], device=device),
        "prompt_feat": copy["mel"],
        "prompt_feat_len": None,
        "embedding": copy["embedding"],
    }
    return t3, gen


def _flow_prompt(wave: NDArray[np.float32], encoders: Encoders) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Compute tokens, mel and x-vector as ``S3Token2Mel.embed_ref`` does: (1, p), (1, 2 p, 80), (1, 192)."""
    s3gen = module("chatterbox.models.s3gen.s3gen")
    device = next(encoders.speaker.parameters()).device
    wide = torch.from_numpy(wave).to(device)[None]
    mel = module("chatterbox.models.s3gen.utils.mel").mel_spectrogram(wide).transpose(1, 2)
    narrow = s3gen.get_resampler(RATE, ENCODER_RATE, device)(wide)
    embedding = encoders.speaker.inference(narrow)
    tokens, _ = encoders.tokenizer(narrow)
    # Two frames for every token. Upstream drops the token that a recording does not fill, but keeps an odd frame, with
    # which the first frame of the speech is taken for the prompt's.
    tokens = tokens[:, : mel.shape[1] // 2]
    return tokens, mel[:, : 2 * tokens.shape[1]], embedding


def _levelled(wave: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scale to -27 LUFS, as in Turbo's training; what is too short or too quiet to be measured stays as it is."""
    with contextlib.suppress(ValueError):
        loudness = module("pyloudnorm").Meter(RATE).integrated_loudness(wave)
        gain = 10.0 ** ((_TURBO_LUFS - loudness) / 20.0)
        if math.isfinite(gain) and gain > 0:
            level: NDArray[np.float32] = (wave * gain).astype(np.float32)
            return level
    return wave
