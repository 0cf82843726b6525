"""T3 of Chatterbox English and Multilingual: a Llama, a resampler for the voice's tokens, learned positions per part.

Source: ``models/t3/t3.py`` and ``models/t3/modules`` of github.com/resemble-ai/chatterbox.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from realtts.accel.decoder import Decoder, DecoderConfig, Llama3Scaling, Rope
from realtts.accel.weights.tensorfile import shapes_of
from realtts_chatterbox.alignment import Alignment
from realtts_chatterbox.body import PREFIX, Drawing, read_own
from realtts_chatterbox.sizes import HEAD_SIZE, t3_sizes
from realtts_chatterbox.utterance import START, STOP

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from realtts.accel.decoder import Precision
    from realtts_chatterbox.utterance import Utterance

__all__ = ["Llama"]

_ROPE = Rope(500_000.0, Llama3Scaling(8.0, 1.0, 4.0, 8192))
_NORM_EPS = 1e-5
_PERCEIVER = "cond_enc.perceiver."
_PERCEIVER_HEADS = 4
_UNUSED = ("tfmr.embed_tokens.weight", "text_head.weight")
_ORDER = ("repetition_penalty", "temperature", "min_p", "top_p")


class Llama:
    """As `realtts_chatterbox.body.Body`.

    Args:
        state: Upstream's tensors by name.
        multilingual: Whether the end is watched over by the alignment.
        device: Where it runs.
        precision: Of the decoder.

    Raises:
        CheckpointMismatch: A tensor is missing, unexpected or misshapen.
    """

    has_guidance = True

    def __init__(
        self, state: Mapping[str, Tensor], *, multilingual: bool, device: torch.device, precision: Precision | str
    ) -> None:
        self._device, self._multilingual = device, multilingual
        config = _config(state)
        own = read_own(state, _shapes(config), device, _UNUSED)
        self._own, self._speech = own, own["speech_emb.weight"]
        self._speech_positions, self._text_positions = own["speech_pos_emb.emb.weight"], own["text_pos_emb.emb.weight"]
        self.decoder = Decoder.from_state_dict(
            config, state, prefix=PREFIX, device=device, precision=precision, rows=(1, 2, 8), max_positions=8192
        )
        self.head = self.decoder.pack(own.pop("speech_head.weight"))

    def spoken(self, tokens: Tensor, begin: int) -> Tensor:
        """As `Body.spoken`."""
        return self._speech[tokens] + self._speech_positions[1 : len(tokens) + 1]

    def drawing(self, streams: int, *, guided: bool, cap: int) -> Drawing:
        """As `Body.drawing`, the alignment among the processors of Multilingual."""
        alignment = None
        if self._multilingual:
            rows = streams * (2 if guided else 1)
            alignment = Alignment(
                streams, rows=rows, cap=cap, device=self._device, text_begin=self._voice_positions, stop=STOP
            )

        def next_embedding(tokens: Tensor, step: Tensor, _: Mapping[str, Tensor]) -> Tensor:
            if alignment is not None:
                alignment.follow(tokens)
            found = self._speech[tokens] + self._speech_positions[step]
            return found.repeat(2, 1) if guided else found

        def begin(utterances: Sequence[Utterance]) -> None:
            if alignment is not None:
                alignment.begin([len(u.ids) for u in utterances], [not u.forced for u in utterances])

        return Drawing(
            order=_ORDER if alignment is None else ("alignment", *_ORDER),
            next_embedding=next_embedding,
            begin=begin,
            own={} if alignment is None else {"alignment": alignment},
            history=(START,),
            row_state=alignment.state if alignment else None,
            taps=alignment.taps if alignment else None,
        )

    @property
    def _voice_positions(self) -> int:
        """How many positions the voice takes: speaker, prompt and expression."""
        return self._own[f"{_PERCEIVER}pre_attention_query"].shape[1] + 2

    @torch.inference_mode()
    def prompt(self, utterance: Utterance, *, text: bool = True) -> Tensor:
        """Voice, text and twice the start token, as upstream has it; as `Body.prompt`."""
        own, ids = self._own, torch.tensor(utterance.ids, device=self._device)
        positions = self._text_positions[: len(ids)]
        # The row without text keeps its positions, so that both rows are equally long.
        words = own["text_emb.weight"][ids] + positions if text else positions
        start = self._speech[START] + self._speech_positions[0]
        return torch.cat([self._voice(utterance), words, start.expand(2, -1)])

    def _voice(self, utterance: Utterance) -> Tensor:
        own, voice = self._own, utterance.voice
        speaker = functional.linear(
            voice.speaker.to(self._device), own["cond_enc.spkr_enc.weight"], own["cond_enc.spkr_enc.bias"]
        )
        expression = own["cond_enc.emotion_adv_fc.weight"].T * utterance.exaggeration
        if voice.t3_tokens is None:
            return torch.cat([speaker, expression])
        tokens = voice.t3_tokens[0].to(self._device)
        spoken = self._speech[tokens] + self._speech_positions[: len(tokens)]
        return torch.cat([speaker, self._resampled(spoken), expression])

    def _resampled(self, spoken: Tensor) -> Tensor:
        """A prompt of any length as so many positions as there are queries (Jaegle et al., 2021, arXiv:2103.03206)."""
        queries = self._own[f"{_PERCEIVER}pre_attention_query"][0]
        found = self._attended(queries, spoken)
        return self._attended(found, found)

    def _attended(self, x: Tensor, other: Tensor) -> Tensor:
        def projected(name: str, value: Tensor) -> Tensor:
            at = f"{_PERCEIVER}attn.{name}"
            return functional.linear(value, self._own[f"{at}.weight"], self._own[f"{at}.bias"])

        def normed(value: Tensor) -> Tensor:
            at = f"{_PERCEIVER}attn.norm"
            return functional.layer_norm(value, value.shape[-1:], self._own[f"{at}.weight"], self._own[f"{at}.bias"])

        def split(value: Tensor) -> Tensor:
            return value.view(len(value), _PERCEIVER_HEADS, -1).transpose(0, 1)

        q, context = projected("to_q", normed(x)), normed(other)
        k, v = projected("to_k", context), projected("to_v", context)
        attended = functional.scaled_dot_product_attention(split(q)[None], split(k)[None], split(v)[None])[0]
        return x + projected("proj_out", attended.transpose(0, 1).reshape(len(x), -1))


def _config(state: Mapping[str, Tensor]) -> DecoderConfig:
    """The decoder's shape: what upstream's configuration says, and sizes as the tensors have them."""
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
    """What is read beside the decoder; None: any size."""
    width = config.hidden_size
    linear = {f"{_PERCEIVER}attn.{name}.weight": (width, width) for name in ("to_q", "to_k", "to_v", "proj_out")}
    biases = {f"{_PERCEIVER}attn.{name}.bias": (width,) for name in ("to_q", "to_k", "to_v", "proj_out", "norm")}
    return {
        "text_emb.weight": (None, width),
        "speech_emb.weight": (None, width),
        "text_pos_emb.emb.weight": (None, width),
        "speech_pos_emb.emb.weight": (None, width),
        "speech_head.weight": (None, width),
        "cond_enc.spkr_enc.weight": (width, 256),
        "cond_enc.spkr_enc.bias": (width,),
        "cond_enc.emotion_adv_fc.weight": (width, 1),
        f"{_PERCEIVER}pre_attention_query": (1, None, width),
        f"{_PERCEIVER}attn.norm.weight": (width,),
        **linear,
        **biases,
    }
