"""T3, the speech language model of Chatterbox English and Multilingual, on the toolkit's decoder.

A Llama of 30 layers reads the voice, the text and a start token, and draws 25 speech tokens for a second. With guidance
there are two rows per stream; the second one has no text. Source: ``models/t3/t3.py`` of
github.com/resemble-ai/chatterbox.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence

from realtts.accel.decoder import DecodeLoop, Decoder, DecoderConfig, Llama3Scaling, Prompt, Rope
from realtts.accel.sampling import SamplingParams, SamplingRecipe
from realtts_chatterbox.alignment import Alignment
from realtts_chatterbox.sizes import HEAD_SIZE, mismatch, t3_sizes
from realtts_chatterbox.tensorfile import shapes_of

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, Sequence

    from torch import Tensor

    from realtts.accel.cuda_graph import GraphBackend
    from realtts.accel.decoder import Block, Precision
    from realtts.errors import CheckpointMismatch
    from realtts_chatterbox.conditionals import Conditionals

__all__ = ["START", "STOP", "STREAMS", "T3", "Utterance"]

START, STOP = 6561, 6562
"""Speech tokens that begin and end an utterance; what lies below is sound."""

STREAMS = (1, 2, 4, 8)
"""Numbers of utterances that there is a loop for; a batch takes the next larger one."""

_ROPE = Rope(500_000.0, Llama3Scaling(8.0, 1.0, 4.0, 8192))
_NORM_EPS = 1e-5
_BODY = "tfmr."
_PERCEIVER = "cond_enc.perceiver."
_PERCEIVER_HEADS = 4
_UNUSED = ("tfmr.embed_tokens.weight", "text_head.weight")
_ORDER = ("repetition_penalty", "temperature", "min_p", "top_p")
_SLOTS = 128
"""The cache's cap is a multiple of so many slots."""


@dataclass(frozen=True)
class Utterance:
    """What one stream is to speak.

    Attributes:
        ids: Text tokens, begin and end included.
        voice: Who speaks.
        exaggeration: How expressively.
        params: How tokens are drawn; a ``guidance`` of 0 needs no second row.
        seed: Of the noise.
        most: The most tokens.
        forced: Exactly ``most`` tokens are drawn, and nothing but sound, whatever the alignment says: for benchmarks.
    """

    ids: tuple[int, ...]
    voice: Conditionals
    exaggeration: float
    params: SamplingParams
    seed: int
    most: int
    forced: bool = False


class T3:
    """Draws the speech tokens of up to eight utterances at once.

    Args:
        state: Upstream's tensors by name. One that reads them as they are asked for is never in memory as a whole.
        multilingual: Whether the end is watched over by the alignment.
        device: Where it runs.
        precision: Of the decoder.
        backend: Captures steps as graphs; None runs them eagerly.
        check_every: Steps between two looks at the device.

    Raises:
        CheckpointMismatch: A tensor is missing, unexpected or misshapen.
    """

    def __init__(
        self,
        state: Mapping[str, Tensor],
        *,
        multilingual: bool,
        device: torch.device | str = "cpu",
        precision: Precision | str = "fp32",
        backend: GraphBackend | None = None,
        check_every: int = 8,
    ) -> None:
        self._check_every = check_every
        self._device = torch.device(device)
        self._multilingual, self._backend = multilingual, backend
        config = _config(state)
        own = _read(state, _shapes(config), self._device)
        self._own, self._speech = own, own["speech_emb.weight"]
        self._speech_positions, self._text_positions = own["speech_pos_emb.emb.weight"], own["text_pos_emb.emb.weight"]
        self.decoder = Decoder.from_state_dict(
            config, state, prefix=_BODY, device=device, precision=precision, rows=(1, 2, 8), max_positions=8192
        )
        self._head = self.decoder.pack(own.pop("speech_head.weight"))
        self._loops: dict[tuple[int, bool], _Loop] = {}

    @property
    def weights(self) -> int:
        """Parameters that a step multiplies by."""
        c = self.decoder.config
        layer = c.hidden_size * (c.head_dim * (2 * c.heads + 2 * c.kv_heads) + 3 * c.mlp_size)
        return c.layers * layer + self._head.in_features * self._head.out_features

    def bytes_read(self, loop: DecodeLoop) -> int:
        """What the loop's next step has to read at least."""
        return self.decoder.bytes_read(loop.cache, loop.cache.filled) + self._head.bytes_read

    def begin(self, utterances: Sequence[Utterance]) -> DecodeLoop:
        """Read the prompts and draw the first tokens; go on with `DecodeLoop.run`.

        With one utterance among them that has guidance, all take two rows; those without weigh the second one 0.
        """
        guided = any(u.params.guidance != 0 for u in utterances)
        prompts = [self._prompt(u) for u in utterances]
        need = max(len(p) for p in prompts) + max(u.most for u in utterances)
        own = self._loop(len(utterances), guided=guided, slots=need)
        idle = own.loop.streams - len(utterances)
        rows = [*utterances, *[_silent(utterances[0])] * idle]
        prompts += [prompts[0]] * idle
        if guided:
            prompts += [self._prompt(u, text=False) for u in rows]
        lengths = torch.tensor([len(p) for p in prompts], device=self._device)
        x = pad_sequence(prompts, batch_first=True)
        valid = torch.arange(x.shape[1], device=self._device) < lengths[:, None]
        if own.alignment is not None:
            own.alignment.begin([len(u.ids) for u in rows], [not u.forced for u in rows])
        own.forced.copy_(torch.tensor([u.forced for u in rows]))
        own.loop.begin(
            Prompt(x, None if len(set(lengths.tolist())) == 1 else valid),
            [u.params for u in rows],
            [u.seed for u in rows],
            [u.most for u in rows],
            history=[[START]] * len(rows),
        )
        return own.loop

    def decode(self, utterances: Sequence[Utterance]) -> Generator[Block, None, None]:
        """Tokens of the utterances, some steps at a time, until all have ended; the end itself is not among them."""
        try:
            yield from self.begin(utterances).run()
        finally:
            self.release()

    def release(self) -> None:
        """Let go of the caches of batches, gigabytes that a single utterance has no use for; graphs keep theirs."""
        if self._backend is None:
            self._loops = {key: loop for key, loop in self._loops.items() if key[0] == 1}

    @torch.inference_mode()
    def logits(self, utterance: Utterance, tokens: Sequence[int]) -> Tensor:
        """What each of these tokens was drawn from, guidance applied: float32 (n, vocabulary)."""
        spoken = torch.tensor(list(tokens[:-1]), dtype=torch.int64, device=self._device)
        steps = torch.arange(1, len(tokens), device=self._device)
        past = self._speech[spoken] + self._speech_positions[steps]
        weight = utterance.params.guidance
        prompts = [self._prompt(utterance)] + ([self._prompt(utterance, text=False)] if weight else [])
        x = torch.stack([torch.cat([prompt, past]) for prompt in prompts])
        cache = self.decoder.new_cache(len(x), x.shape[1])
        hidden = self.decoder.prefill(x, cache, every=True)[:, -len(tokens) :]
        found = self._head(hidden.flatten(0, 1)).float().view(len(x), len(tokens), -1)
        return found[0] + weight * (found[0] - found[1]) if weight else found[0]

    def warm_up(self, utterance: Utterance) -> None:
        """Capture every step of a single utterance, with guidance and without, and run a short one."""
        for guidance in (0.5, 0.0):
            own = self._loop(1, guided=guidance != 0, slots=len(self._prompt(utterance)) + utterance.most)
            own.loop.warm_up(own.loop.cache.cap)
        for _ in self.decode([utterance]):
            pass

    # -- loops -------------------------------------------------------------------------------------------------------

    def _loop(self, utterances: int, *, guided: bool, slots: int) -> _Loop:
        """The loop for so many streams, made when it is first needed and kept; made anew when a longer one is."""
        streams = next(n for n in STREAMS if n >= utterances)
        own = self._loops.get((streams, guided))
        if own is None or own.loop.cache.cap < slots:
            self._loops.pop((streams, guided), None)
            own = self._loops[streams, guided] = self._new_loop(streams, guided=guided, slots=slots)
        return own

    def _new_loop(self, streams: int, *, guided: bool, slots: int) -> _Loop:
        cap, rows = -(-slots // _SLOTS) * _SLOTS, streams * (2 if guided else 1)
        alignment = None
        if self._multilingual:
            alignment = Alignment(
                streams, rows=rows, cap=cap, device=self._device, text_begin=self._voice_positions, stop=STOP
            )
        forced = torch.zeros(streams, dtype=torch.bool, device=self._device)
        silent = torch.arange(len(self._speech), device=self._device) >= START

        def sounds(scores: Tensor, _: Tensor) -> Tensor:
            return scores.masked_fill(forced[:, None] & silent, float("-inf"))

        own: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"sounds": sounds}
        if alignment is not None:
            own["alignment"] = alignment
        recipe = SamplingRecipe(
            vocabulary=len(self._speech),
            order=(*(("guidance",) if guided else ()), *own, *_ORDER),
            stop_tokens=(STOP,),
            own=own,
        )

        def next_embedding(tokens: Tensor, step: Tensor, _: Mapping[str, Tensor]) -> Tensor:
            if alignment is not None:
                alignment.follow(tokens)
            found = self._speech[tokens] + self._speech_positions[step]
            return found.repeat(2, 1) if guided else found

        loop = DecodeLoop(
            self.decoder,
            self._head,
            next_embedding,
            recipe,
            streams=streams,
            cap=cap,
            row_state=alignment.state if alignment else None,
            taps=alignment.taps if alignment else None,
            backend=self._backend,
            check_every=self._check_every,
        )
        return _Loop(loop, forced, alignment)

    # -- prompts -----------------------------------------------------------------------------------------------------

    @property
    def _voice_positions(self) -> int:
        """How many positions the voice takes: speaker, prompt and expression."""
        return self._own[f"{_PERCEIVER}pre_attention_query"].shape[1] + 2

    @torch.inference_mode()
    def _prompt(self, utterance: Utterance, *, text: bool = True) -> Tensor:
        """Voice, text and twice the start token, as upstream has it: float32 (n, hidden)."""
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


@dataclass(frozen=True)
class _Loop:
    loop: DecodeLoop
    forced: Tensor
    alignment: Alignment | None


def _silent(utterance: Utterance) -> Utterance:
    """What a stream does that no utterance is left for."""
    return Utterance(utterance.ids, utterance.voice, 0.5, SamplingParams(greedy=True), seed=0, most=1)


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


def _read(
    state: Mapping[str, Tensor], shapes: Mapping[str, tuple[int | None, ...]], device: torch.device
) -> dict[str, Tensor]:
    """The tensors of these names and shapes, and none other beside the decoder's."""
    others = {name for name in state if not name.startswith(_BODY)} - set(_UNUSED)
    if missing := sorted(shapes.keys() - others):
        raise _unfit(f"{len(missing)} tensors are missing, the first is {missing[0]}")
    if unexpected := sorted(others - shapes.keys()):
        raise _unfit(f"{len(unexpected)} tensors are unexpected, the first is {unexpected[0]}")
    found = {}
    for name, shape in shapes.items():
        tensor = state[name]
        if len(tensor.shape) != len(shape) or any(w not in {None, n} for n, w in zip(tensor.shape, shape, strict=True)):
            wanted = "x".join("any" if size is None else str(size) for size in shape)
            raise _unfit(f"{name} has the shape {tuple(tensor.shape)}, expected {wanted}")
        found[name] = tensor.to(device, torch.float32)
    return found


def _unfit(what: str) -> CheckpointMismatch:
    return mismatch(what, "T3")
