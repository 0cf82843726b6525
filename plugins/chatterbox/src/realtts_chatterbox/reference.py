"""Upstream's own loop and classes for one request at a time, called without side effects.

Upstream's functions show a progress bar, print, and cannot be interrupted. Their own code is run with other globals:
in place of tqdm an iterator that stops once the request is cancelled, in place of print a function that does nothing.
Upstream's modules are not changed.
"""

from __future__ import annotations

import contextlib
import types
from typing import TYPE_CHECKING, Any

import torch

from realtts.accel.upstream.calls import quiet, seeded, stopping, with_names
from realtts.contract.stages import Cancelled
from realtts_chatterbox.building import Encoders, s3gen_of, t3_of, voice_encoder_of
from realtts_chatterbox.noise import InjectedNoise, Noise
from realtts_chatterbox.upstream import module
from realtts_chatterbox.utterance import SILENCE, START, STOP
from realtts_chatterbox.voices import to_upstream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from realtts_chatterbox.conditionals import Conditionals
    from realtts_chatterbox.frontend import Ask
    from realtts_chatterbox.weights import Weights

__all__ = ["Upstream"]

_NEVER = -1e9
"""Logit of a token that must not be drawn. Finite, because guidance subtracts the logits of two rows."""


class Upstream:
    """A checkpoint in upstream's networks, float32.

    Args:
        weights: The checkpoint.
        device: Where they lie.

    Attributes:
        t3: ``T3``.
        s3gen: ``S3Gen``.
        encoders: The networks that make conditionals.

    Raises:
        CheckpointError: As `realtts_chatterbox.building`.
        MissingExtra: chatterbox-tts is not installed.
    """

    def __init__(self, weights: Weights, device: str) -> None:
        self._device = device
        self.t3, self.s3gen = t3_of(weights, device), s3gen_of(weights, device)
        voice = voice_encoder_of(weights, device)
        self.encoders = Encoders(voice, self.s3gen.tokenizer, self.s3gen.speaker_encoder)

    @torch.inference_mode()
    def draw(self, ask: Ask, voice: Conditionals, cancelled: Callable[[], bool]) -> list[int]:
        """Run ``T3.inference``, or ``inference_turbo``, for one request, and leave the network as it was.

        Args:
            ask: The request.
            voice: Who speaks.
            cancelled: Called before every step.

        Returns:
            All tokens that were drawn, the end included.

        Raises:
            Cancelled: The request was cancelled.
        """
        t3, ids = self.t3, torch.tensor([ask.ids], device=self._device)
        turbo = ask.kind == "turbo"
        condition, _ = to_upstream(voice, ask.exaggeration, self._device)
        run = _silenced(type(t3).inference_turbo if turbo else type(t3).inference, cancelled)
        with quiet(), seeded(self._device, ask.seed), _restored(t3), _counted(t3, ask):
            if turbo:
                drawn = run(
                    t3, t3_cond=condition, text_tokens=ids, temperature=ask.temperature, top_k=ask.top_k,
                    top_p=ask.top_p, repetition_penalty=ask.repetition_penalty, max_gen_len=ask.most - 1,
                )  # fmt: skip
            else:
                # Two rows always: with one, upstream's cfg_weight=0 fails. Weight 0 leaves the second without effect.
                drawn = run(
                    t3, t3_cond=condition, text_tokens=ids.repeat(2, 1), max_new_tokens=ask.most,
                    temperature=ask.temperature, cfg_weight=ask.cfg_weight, repetition_penalty=ask.repetition_penalty,
                    min_p=ask.min_p, top_p=ask.top_p,
                )  # fmt: skip
        tokens: list[int] = drawn[0].tolist()
        return tokens

    @torch.inference_mode()
    def mel(self, ask: Ask, voice: Conditionals, tokens: Sequence[int], cancelled: Callable[[], bool]) -> Tensor:
        """Run ``S3Gen.flow_inference`` on speech tokens, with noise of the request's seed.

        Args:
            ask: The request.
            voice: Who speaks.
            tokens: Sound alone; the silence that Turbo's speech ends with is added here.
            cancelled: Called before every step.

        Returns:
            float32 (1, 80, frames), two for each token.

        Raises:
            Cancelled: The request was cancelled.
        """
        _, gen = to_upstream(voice, ask.exaggeration, self._device)
        ids = torch.tensor([[*tokens, *(SILENCE if ask.kind == "turbo" else ())]], device=self._device)
        with quiet(), _noise(ask, voice, self._device), _solver_watched(self.s3gen, cancelled):
            mel: Tensor = self.s3gen.flow_inference(ids, ref_dict=gen, n_cfm_timesteps=ask.steps, finalize=True)
        return mel

    @torch.inference_mode()
    def samples(self, ask: Ask, voice: Conditionals, mel: Tensor) -> NDArray[np.float32]:
        """Run ``S3Gen.hift_inference`` on a mel spectrogram; the watermark is not part of it.

        Args:
            ask: The request.
            voice: Who speaks.
            mel: From `mel`.

        Returns:
            float32 (480 frames,), 24 kHz.
        """
        with quiet(), _noise(ask, voice, self._device):
            wave, _ = self.s3gen.hift_inference(mel)
            wave[:, : len(self.s3gen.trim_fade)] *= self.s3gen.trim_fade
        samples: NDArray[np.float32] = wave[0].float().cpu().numpy()
        return samples


def _noise(ask: Ask, voice: Conditionals, device: torch.device | str) -> InjectedNoise:
    return InjectedNoise([Noise(ask.seed, device)], voice.mel.shape[1])


@contextlib.contextmanager
def _solver_watched(s3gen: Any, cancelled: Callable[[], bool]) -> Iterator[None]:
    """Make the flow's solver raise `Cancelled` at its next step once the request is cancelled."""
    decoder = s3gen.flow.decoder
    decoder.basic_euler = types.MethodType(_silenced(type(decoder).basic_euler, cancelled), decoder)
    try:
        with stopping(decoder.estimator.time_mlp, cancelled):
            yield
    finally:
        del decoder.basic_euler


def _silenced(function: Any, cancelled: Callable[[], bool]) -> Any:
    """Return the function without progress bar and print; once cancelled, it raises `Cancelled` between two steps."""

    def steps(iterable: Iterable[Any], *_: Any, **__: Any) -> Iterator[Any]:
        for step in iterable:
            if cancelled():
                raise Cancelled
            yield step

    return with_names(function, tqdm=steps, print=lambda *_, **__: None)


@contextlib.contextmanager
def _restored(t3: Any) -> Iterator[None]:
    """Restore the network's hooks, configuration and submodules afterwards.

    At every call the multilingual model's analyzer leaves three hooks on the attention, and the backbone in its slow
    attention mode; every model leaves a second model around the backbone.
    """
    attention = [layer.self_attn for layer in getattr(t3.tfmr, "layers", ())]
    hooks = [dict(layer._forward_hooks) for layer in attention]
    config = t3.tfmr.config
    before = (config._attn_implementation, config.output_attentions)
    log = module("chatterbox.models.t3.inference.alignment_stream_analyzer").logger
    was_disabled, log.disabled = log.disabled, True
    try:
        yield
    finally:
        log.disabled = was_disabled
        # `output_attentions` first: transformers allows it in the slow mode alone.
        config.output_attentions = before[1]
        config._attn_implementation = before[0]
        for layer, had in zip(attention, hooks, strict=True):
            for key in [key for key in layer._forward_hooks if key not in had]:
                del layer._forward_hooks[key]
        t3.compiled = False
        if "patched_model" in t3._modules:
            del t3.patched_model


@contextlib.contextmanager
def _counted(t3: Any, ask: Ask) -> Iterator[None]:
    """Keep the end from being drawn before ``ask.least`` tokens, and all but sound where the number is forced."""
    step = 0

    def raised(_: Any, __: Any, logits: Tensor) -> Tensor | None:
        nonlocal step
        step += 1
        if step > ask.least:
            return None
        logits = logits.clone()
        if ask.forced:
            _let_end_alone(t3)
            logits[..., START:] = _NEVER
        else:
            logits[..., STOP] = _NEVER
        return logits

    handle = t3.speech_head.register_forward_hook(raised)
    try:
        yield
    finally:
        handle.remove()


def _let_end_alone(t3: Any) -> None:
    """Let this call's analyzer follow the text without a say in where the speech ends."""
    analyzer = getattr(getattr(t3, "patched_model", None), "alignment_stream_analyzer", None)
    if analyzer is None or "step" in vars(analyzer):
        return
    step = analyzer.step

    def watched(logits: Tensor, next_token: Any = None) -> Tensor:
        step(logits.clone(), next_token=next_token)
        return logits

    analyzer.step = watched
