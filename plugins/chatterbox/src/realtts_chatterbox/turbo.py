"""T3 of Chatterbox Turbo: a GPT-2, whose learned positions run through voice, text and speech.

No guidance, no resampler, no expression. Source: ``models/t3/t3.py`` (``inference_turbo``) of
github.com/resemble-ai/chatterbox.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from realtts.accel.decoder import Decoder, DecoderConfig
from realtts.accel.sampling.processors import penalized
from realtts.accel.weights.tensorfile import shapes_of
from realtts_chatterbox.body import PREFIX, Drawing, read_own
from realtts_chatterbox.sizes import HEAD_SIZE, t3_sizes
from realtts_chatterbox.utterance import START

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from realtts.accel.decoder import Precision
    from realtts_chatterbox.sizes import T3Sizes
    from realtts_chatterbox.utterance import Utterance

__all__ = ["Turbo"]

_NORM_EPS = 1e-5
_POSITIONS = "tfmr.wpe.weight"
_UNUSED = ("tfmr.wte.weight", "text_head.weight")
_ORDER = ("temperature", "top_k", "top_p", "start_penalty", "repetition_penalty")
_TOP_K = 1000


class Turbo:
    """As `realtts_chatterbox.body.Body`.

    Args:
        state: Upstream's tensors by name.
        device: Where it runs.
        precision: Of the decoder.

    Raises:
        CheckpointMismatch: A tensor is missing, unexpected or misshapen.
    """

    has_guidance = False

    def __init__(self, state: Mapping[str, Tensor], *, device: torch.device, precision: Precision | str) -> None:
        self._device = device
        sizes = t3_sizes(shapes_of(state), "turbo")
        own = read_own(state, _shapes(sizes), device, _UNUSED)
        self._own, self._speech, self._positions = own, own["speech_emb.weight"], own[_POSITIONS]
        self.decoder = Decoder.from_state_dict(
            _config(sizes),
            state,
            prefix=PREFIX,
            device=device,
            precision=precision,
            rows=(1, 2, 8),
            # A row that has filled its last slot stands one behind it, and its position is looked up all the same.
            max_positions=len(self._positions) - 1,
        )
        self.head = self.decoder.pack(own.pop("speech_head.weight"), own.pop("speech_head.bias"))

    @torch.inference_mode()
    def prompt(self, utterance: Utterance, *, text: bool = True) -> Tensor:
        """Speaker, the voice's tokens, text and the start token; as `Body.prompt`, but there is no row without text."""
        own, voice = self._own, utterance.voice
        speaker = functional.linear(
            voice.speaker.to(self._device), own["cond_enc.spkr_enc.weight"], own["cond_enc.spkr_enc.bias"]
        )
        words = own["text_emb.weight"][torch.tensor(utterance.ids, device=self._device)]
        spoken = [] if voice.t3_tokens is None else [self._speech[voice.t3_tokens[0].to(self._device)]]
        found = torch.cat([speaker, *spoken, words, self._speech[START : START + 1]])
        return found + self._positions[: len(found)]

    def spoken(self, tokens: Tensor, begin: int) -> Tensor:
        """As `Body.spoken`."""
        return self._speech[tokens] + self._positions[begin : begin + len(tokens)]

    def drawing(self, streams: int, *, guided: bool, cap: int) -> Drawing:
        """As `Body.drawing`: temperature and the two filters first, the penalty on what they leave."""
        start = _StartPenalty(streams, len(self._speech), self._device)

        def next_embedding(tokens: Tensor, _: Tensor, row_state: Mapping[str, Tensor]) -> Tensor:
            return self._speech[tokens] + self._positions[row_state["position"]]

        return Drawing(
            order=_ORDER,
            next_embedding=next_embedding,
            begin=start.begin,
            own={"start_penalty": start},
            max_top_k=min(_TOP_K, len(self._speech)),
        )


class _StartPenalty:
    """Repetition penalty on the start token at the first draw, after which upstream's history knows it no more.

    Args:
        streams: Number of streams.
        vocabulary: Number of tokens.
        device: Where it lies.
    """

    def __init__(self, streams: int, vocabulary: int, device: torch.device) -> None:
        self._penalty = torch.ones(streams, 1, device=device)
        self._is_start = torch.arange(vocabulary, device=device) == START

    def begin(self, utterances: Sequence[Utterance]) -> None:
        """Take each stream's penalty."""
        self._penalty.copy_(torch.tensor([[u.params.repetition_penalty] for u in utterances]))

    def __call__(self, scores: Tensor, step: Tensor) -> Tensor:
        """As a processor of `SamplingRecipe.own`."""
        return penalized(scores, (step == 0)[:, None] & self._is_start, self._penalty)


def _config(sizes: T3Sizes) -> DecoderConfig:
    return DecoderConfig(
        layers=sizes.layers,
        hidden_size=sizes.hidden,
        heads=sizes.heads,
        kv_heads=sizes.heads,
        head_dim=HEAD_SIZE,
        mlp_size=sizes.intermediate,
        norm_eps=_NORM_EPS,
        rope=None,
        family="gpt2",
    )


def _shapes(sizes: T3Sizes) -> dict[str, tuple[int | None, ...]]:
    """What is read beside the decoder; None: any size."""
    width, speech = sizes.hidden, sizes.speech_vocabulary
    return {
        "text_emb.weight": (None, width),
        "speech_emb.weight": (speech, width),
        "speech_head.weight": (speech, width),
        "speech_head.bias": (speech,),
        "cond_enc.spkr_enc.weight": (width, 256),
        "cond_enc.spkr_enc.bias": (width,),
        _POSITIONS: (None, width),
    }
