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
from realtts.accel.weights.packed_cache import NO_CACHE
from realtts.accel.weights.tensorfile import shapes_of
from realtts_chatterbox.body import HEAD, PREFIX, Drawing, read_beside, read_tensor
from realtts_chatterbox.sizes import HEAD_SIZE, t3_sizes
from realtts_chatterbox.utterance import START

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from realtts.accel.decoder import Precision
    from realtts.accel.kernels import PackedLinear
    from realtts.accel.weights.packed_cache import PackedCache
    from realtts_chatterbox.sizes import T3Sizes
    from realtts_chatterbox.utterance import Utterance

__all__ = ["Turbo"]

_NORM_EPS = 1e-5
_POSITIONS = "tfmr.wpe.weight"
_HEAD_BIAS = "speech_head.bias"
_UNUSED = ("tfmr.wte.weight", "text_head.weight")
_ORDER = ("temperature", "top_k", "top_p", "start_penalty", "repetition_penalty")
_TOP_K = 1000


class Turbo:
    """Turbo's body: a `realtts_chatterbox.body.Body`.

    Args:
        state: Upstream's tensors by name.
        device: Where it runs.

    Raises:
        CheckpointMismatch: A tensor is missing, unexpected or misshapen.
    """

    history: tuple[int, ...] = ()
    has_guidance = False
    decoder: Decoder
    head: PackedLinear

    def __init__(self, state: Mapping[str, Tensor], *, device: torch.device) -> None:
        self._device = device
        self._sizes = t3_sizes(shapes_of(state), "turbo")
        self._shapes = _shapes(self._sizes)
        weights = read_beside(state, self._shapes, device, unused=_UNUSED, later=(HEAD, _HEAD_BIAS))
        self._weights, self._speech, self._positions = weights, weights["speech_emb.weight"], weights[_POSITIONS]

    def pack(self, state: Mapping[str, Tensor], precision: Precision | str, cache: PackedCache = NO_CACHE) -> None:
        """Read and pack decoder and head, as `Body.pack`."""

        def read(name: str) -> Tensor:
            return read_tensor(state, name, self._shapes[name], self._device)

        with cache.open(state, "t3") as store:
            self.decoder = Decoder.from_state_dict(
                _config(self._sizes),
                state,
                prefix=PREFIX,
                device=self._device,
                precision=precision,
                rows=(1, 2, 8),
                max_positions=self.most_positions,
                store=store,
            )
            self.head = self.decoder.pack_stored("head", lambda: (read(HEAD), read(_HEAD_BIAS)))

    @property
    def most_positions(self) -> int:
        """Most positions, as `Body.most_positions`."""
        # A row that has filled its last slot stands one behind it, and its position is looked up all the same.
        return len(self._positions) - 1

    def voice_positions(self, utterance: Utterance) -> int:
        """Return the number of the voice's positions, as `Body.voice_positions`: its speaker and its tokens."""
        voice = utterance.voice.t3_tokens
        return 1 + (0 if voice is None else voice.shape[1])

    def positions(self, utterance: Utterance) -> int:
        """Return the number of positions of a prompt, as `Body.positions`."""
        return self.voice_positions(utterance) + len(utterance.ids) + 1

    @torch.inference_mode()
    def prompt(self, utterance: Utterance, *, text: bool = True) -> Tensor:
        """Embed speaker, the voice's tokens, text and the start token, as `Body.prompt`; ``text`` is always true."""
        weights, voice = self._weights, utterance.voice
        speaker = functional.linear(
            voice.speaker.to(self._device), weights["cond_enc.spkr_enc.weight"], weights["cond_enc.spkr_enc.bias"]
        )  # (1, 256) -> (1, hidden)
        words = weights["text_emb.weight"][torch.tensor(utterance.ids, device=self._device)]
        spoken = [] if voice.t3_tokens is None else [self._speech[voice.t3_tokens[0].to(self._device)]]
        prompt = torch.cat([speaker, *spoken, words, self._speech[START : START + 1]])
        return prompt + self._positions[: len(prompt)]  # (n, hidden)

    def spoken(self, tokens: Tensor, begin: int) -> Tensor:
        """Embed drawn tokens, as `Body.spoken`; positions go on from the prompt's."""
        return self._speech[tokens] + self._positions[begin : begin + len(tokens)]

    def beginning(self, utterance: Utterance) -> dict[str, Tensor]:
        """Return how a row begins, as `Body.beginning`."""
        return {"penalty": torch.tensor([utterance.params.repetition_penalty])}

    def drawing(self, rows: int, *, guided: bool, cap: int) -> Drawing:
        """Describe a loop, as `Body.drawing`: temperature and both filters first, the penalty on what they leave."""
        penalty = torch.ones(rows, 1, device=self._device)
        is_start = torch.arange(len(self._speech), device=self._device) == START

        def next_embedding(tokens: Tensor, _: Tensor, row_state: Mapping[str, Tensor]) -> Tensor:
            return self._speech[tokens] + self._positions[row_state["position"]]

        def start_penalty(scores: Tensor, step: Tensor, at: Tensor) -> Tensor:
            # On the start token at the first draw alone: upstream drops that token from its history then.
            return penalized(scores, (step == 0)[:, None] & is_start, penalty[at])

        return Drawing(
            order=_ORDER,
            next_embedding=next_embedding,
            processors={"start_penalty": start_penalty},
            max_top_k=min(_TOP_K, len(self._speech)),
            row_state={"penalty": penalty},
        )


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
    """Return the expected shapes of the tensors beside the decoder; None: any size."""
    width, speech = sizes.hidden, sizes.speech_vocabulary
    return {
        "text_emb.weight": (None, width),
        "speech_emb.weight": (speech, width),
        HEAD: (speech, width),
        _HEAD_BIAS: (speech,),
        "cond_enc.spkr_enc.weight": (width, 256),
        "cond_enc.spkr_enc.bias": (width,),
        _POSITIONS: (None, width),
    }
