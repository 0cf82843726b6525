"""T3 of Chatterbox English and Multilingual: a Llama, a resampler for the voice's tokens, learned positions per part.

Source: ``models/t3/t3.py`` and ``models/t3/modules`` of github.com/resemble-ai/chatterbox.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from realtts.accel.decoder import Decoder, DecoderConfig, Llama3Scaling, Rope
from realtts.accel.weights.packed_cache import NO_CACHE
from realtts.accel.weights.tensorfile import shapes_of
from realtts_chatterbox.alignment import Alignment
from realtts_chatterbox.body import HEAD, PREFIX, Drawing, read_beside, read_tensor
from realtts_chatterbox.sizes import HEAD_SIZE, t3_sizes
from realtts_chatterbox.utterance import START, STOP

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from realtts.accel.decoder import Precision
    from realtts.accel.kernels import PackedLinear
    from realtts.accel.weights.packed_cache import PackedCache
    from realtts_chatterbox.utterance import Utterance

__all__ = ["Llama"]

_ROPE = Rope(500_000.0, Llama3Scaling(8.0, 1.0, 4.0, 8192))
_POSITIONS = 8192
_NORM_EPS = 1e-5
_PERCEIVER = "cond_enc.perceiver."
_PERCEIVER_HEADS = 4
_UNUSED = ("tfmr.embed_tokens.weight", "text_head.weight")
_ORDER = ("repetition_penalty", "temperature", "min_p", "top_p")


class Llama:
    """The body of English and Multilingual: a `realtts_chatterbox.body.Body`.

    Args:
        state: Upstream's tensors by name.
        multilingual: Whether the alignment decides where speech ends.
        device: Where it runs.

    Raises:
        CheckpointMismatch: A tensor is missing, unexpected or misshapen.
    """

    history: tuple[int, ...] = (START,)
    has_guidance = True
    most_positions = _POSITIONS
    decoder: Decoder
    head: PackedLinear

    def __init__(self, state: Mapping[str, Tensor], *, multilingual: bool, device: torch.device) -> None:
        self._device, self._multilingual = device, multilingual
        self._config = _config(state)
        self._shapes = _shapes(self._config)
        weights = read_beside(state, self._shapes, device, unused=_UNUSED, later=(HEAD,))
        self._weights, self._speech = weights, weights["speech_emb.weight"]
        self._speech_positions = weights["speech_pos_emb.emb.weight"]
        self._text_positions = weights["text_pos_emb.emb.weight"]

    def pack(self, state: Mapping[str, Tensor], precision: Precision | str, cache: PackedCache = NO_CACHE) -> None:
        """Read and pack decoder and head, as `Body.pack`."""
        with cache.open(state, "t3") as store:
            self.decoder = Decoder.from_state_dict(
                self._config,
                state,
                prefix=PREFIX,
                device=self._device,
                precision=precision,
                rows=(1, 2, 8),
                max_positions=_POSITIONS,
                store=store,
            )
            self.head = self.decoder.pack_stored(
                "head", lambda: (read_tensor(state, HEAD, self._shapes[HEAD], self._device), None)
            )

    def spoken(self, tokens: Tensor, begin: int) -> Tensor:
        """Embed drawn tokens, as `Body.spoken`; positions of speech count from the start token, wherever it stands."""
        return self._speech[tokens] + self._speech_positions[1 : len(tokens) + 1]  # (n, hidden)

    def beginning(self, utterance: Utterance) -> dict[str, Tensor]:
        """Return how a row begins, as `Body.beginning`."""
        length, watched = len(utterance.ids), not utterance.forced
        return Alignment.beginning(length, watched=watched) if self._multilingual else {}

    def drawing(self, rows: int, *, guided: bool, cap: int) -> Drawing:
        """Describe a loop, as `Body.drawing`; Multilingual's has the alignment among its processors."""
        alignment = None
        if self._multilingual:
            alignment = Alignment(
                rows,
                cache_rows=rows * (2 if guided else 1),
                cap=cap,
                device=self._device,
                text_begin=self._voice_positions,
                stop=STOP,
            )

        def next_embedding(tokens: Tensor, step: Tensor, row_state: Mapping[str, Tensor]) -> Tensor:
            if alignment is not None:
                alignment.follow(tokens, row_state["rows"])
            embedded = self._speech[tokens] + self._speech_positions[step]
            # Both rows of the cache read the same token: (n, hidden) -> (2 n, hidden).
            return embedded.repeat(2, 1) if guided else embedded

        return Drawing(
            order=_ORDER if alignment is None else ("alignment", *_ORDER),
            next_embedding=next_embedding,
            processors={} if alignment is None else {"alignment": alignment},
            row_state={} if alignment is None else alignment.state,
            taps=None if alignment is None else alignment.taps,
        )

    def voice_positions(self, utterance: Utterance) -> int:
        """Return the number of the voice's positions, as `Body.voice_positions`."""
        return 2 if utterance.voice.t3_tokens is None else self._voice_positions

    @property
    def _voice_positions(self) -> int:
        """Positions of the prompt that the voice takes: speaker, resampled recording, expression."""
        return self._weights[f"{_PERCEIVER}pre_attention_query"].shape[1] + 2

    def positions(self, utterance: Utterance) -> int:
        """Return the number of positions of a prompt, as `Body.positions`."""
        return self.voice_positions(utterance) + len(utterance.ids) + 2

    @torch.inference_mode()
    def prompt(self, utterance: Utterance, *, text: bool = True) -> Tensor:
        """Embed voice, text and twice the start token, as upstream does; see `Body.prompt`."""
        ids = torch.tensor(utterance.ids, device=self._device)
        positions = self._text_positions[: len(ids)]
        # The row without text keeps its positions, so that both rows are equally long.
        words = self._weights["text_emb.weight"][ids] + positions if text else positions
        start = self._speech[START] + self._speech_positions[0]
        return torch.cat([self._voice(utterance), words, start.expand(2, -1)])

    def _voice(self, utterance: Utterance) -> Tensor:
        weights, voice = self._weights, utterance.voice
        speaker = functional.linear(
            voice.speaker.to(self._device), weights["cond_enc.spkr_enc.weight"], weights["cond_enc.spkr_enc.bias"]
        )  # (1, 256) -> (1, hidden)
        expression = weights["cond_enc.emotion_adv_fc.weight"].T * utterance.exaggeration  # (1, hidden)
        if voice.t3_tokens is None:
            return torch.cat([speaker, expression])
        tokens = voice.t3_tokens[0].to(self._device)
        spoken = self._speech[tokens] + self._speech_positions[: len(tokens)]
        return torch.cat([speaker, self._resampled(spoken), expression])

    def _resampled(self, spoken: Tensor) -> Tensor:
        """Resample (n, hidden) to as many positions as there are queries (Jaegle et al., 2021, arXiv:2103.03206)."""
        queries = self._weights[f"{_PERCEIVER}pre_attention_query"][0]  # (queries, hidden)
        resampled = self._attended(queries, spoken)
        return self._attended(resampled, resampled)  # upstream applies the same layer twice

    def _attended(self, x: Tensor, other: Tensor) -> Tensor:
        """Attend from x (n, hidden) to other (m, hidden), with norm, projection and residual: (n, hidden)."""

        def projected(name: str, value: Tensor) -> Tensor:
            at = f"{_PERCEIVER}attn.{name}"
            return functional.linear(value, self._weights[f"{at}.weight"], self._weights[f"{at}.bias"])

        def normed(value: Tensor) -> Tensor:
            at = f"{_PERCEIVER}attn.norm"
            weight, bias = self._weights[f"{at}.weight"], self._weights[f"{at}.bias"]
            return functional.layer_norm(value, value.shape[-1:], weight, bias)

        def split(value: Tensor) -> Tensor:
            return value.view(len(value), _PERCEIVER_HEADS, -1).transpose(0, 1)  # (n, h * d) -> (h, n, d)

        q, context = projected("to_q", normed(x)), normed(other)
        k, v = projected("to_k", context), projected("to_v", context)
        attended = functional.scaled_dot_product_attention(split(q)[None], split(k)[None], split(v)[None])[0]
        return x + projected("proj_out", attended.transpose(0, 1).reshape(len(x), -1))  # (h, n, d) -> (n, h * d)


def _config(state: Mapping[str, Tensor]) -> DecoderConfig:
    """Return the decoder's shape: constants of upstream's configuration, and sizes read off the tensors."""
    sizes = t3_sizes(shapes_of(state), "english")
    return DecoderConfig(
        layers=sizes.layers,
        hidden_size=sizes.hidden,
        heads=sizes.heads,
        kv_heads=sizes.heads,
        head_dim=HEAD_SIZE,
        mlp_size=sizes.intermediate,
        norm_eps=_NORM_EPS,
        rope=_ROPE,
    )


def _shapes(config: DecoderConfig) -> dict[str, tuple[int | None, ...]]:
    """Return the expected shapes of the tensors beside the decoder; None: any size."""
    width = config.hidden_size
    linear = {f"{_PERCEIVER}attn.{name}.weight": (width, width) for name in ("to_q", "to_k", "to_v", "proj_out")}
    biases = {f"{_PERCEIVER}attn.{name}.bias": (width,) for name in ("to_q", "to_k", "to_v", "proj_out", "norm")}
    return {
        "text_emb.weight": (None, width),
        "speech_emb.weight": (None, width),
        "text_pos_emb.emb.weight": (None, width),
        "speech_pos_emb.emb.weight": (None, width),
        HEAD: (None, width),
        "cond_enc.spkr_enc.weight": (width, 256),
        "cond_enc.spkr_enc.bias": (width,),
        "cond_enc.emotion_adv_fc.weight": (width, 1),
        f"{_PERCEIVER}pre_attention_query": (1, None, width),
        f"{_PERCEIVER}attn.norm.weight": (width,),
        **linear,
        **biases,
    }
