"""The decoder: prefill of a prompt and one step for all rows, over a static cache."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from realtts.accel.compile import compiled
from realtts.accel.decoder.attend import Taps, allowed_keys, attend_prompt, attend_step
from realtts.accel.decoder.buckets import Buckets
from realtts.accel.decoder.cache import KVCache
from realtts.accel.decoder.glue import Glue, gated, heads, normed
from realtts.accel.decoder.precision import Precision, choose_kv_dtype
from realtts.accel.decoder.rope import RopeTable
from realtts.accel.decoder.weights import read_layers
from realtts.accel.linear import SAMPLE_BYTES, PackedLinear, choose_kernel
from realtts.errors import DecoderError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from torch import Tensor

    from realtts.accel.decoder.config import DecoderConfig
    from realtts.accel.decoder.weights import LayerWeights
    from realtts.accel.linear import Kernel

__all__ = ["Decoder", "Precision", "Taps"]


@dataclass
class _Layer:
    input_norm: Tensor
    qkv: PackedLinear
    q_norm: Tensor | None
    k_norm: Tensor | None
    out: PackedLinear
    mlp_norm: Tensor
    gate_up: PackedLinear
    down: PackedLinear


class Decoder:
    """A Llama-family decoder without embeddings and head, which belong to the model around it.

    Args:
        config: Its shape.
        layers: Weights, already on the device that will run them; not kept, and taken one by one.
        final_norm: Weight of the last norm, shape (hidden,).
        precision: Of weights, activations and cache.
        rows: Numbers of rows that steps will have; kernels are chosen for them.
        max_positions: Longest rotary position.
        kernel: Name of the one kernel to use; default: measured (see `realtts.accel.linear.choose_kernel`).
    """

    def __init__(
        self,
        config: DecoderConfig,
        layers: Iterable[LayerWeights],
        final_norm: Tensor,
        *,
        precision: Precision | str = "fp32",
        rows: Sequence[int] = (2,),
        max_positions: int = 8192,
        kernel: str | None = None,
    ) -> None:
        self.config = config
        self.device = final_norm.device
        self.precision = Precision.of(precision, self.device)
        coming = iter(layers)
        first = _sample(coming)
        sample = [weight for layer in first for weight in layer.matrices]
        self.kernel: Kernel = choose_kernel(sample, self.precision.weights, rows=rows, kernel=kernel)
        del sample
        self.kv_dtype = choose_kv_dtype(config, self.precision, rows, self.device)
        self._rope = RopeTable(config.rope, config.head_dim, max_positions, self.device)
        # Those of the sample are let go of one by one, like those that come after them.
        self._layers = [self._packed(first.popleft()) for _ in range(len(first))]
        self._layers += [self._packed(layer) for layer in coming]
        self._glue = Glue()
        self._final_norm = final_norm.detach().to(self.precision.activations)

    @classmethod
    def from_state_dict(
        cls,
        config: DecoderConfig,
        state: Mapping[str, Tensor],
        *,
        prefix: str = "model.",
        ignore: Collection[str] = ("embed_tokens.weight",),
        device: torch.device | str = "cpu",
        precision: Precision | str = "fp32",
        rows: Sequence[int] = (2,),
        max_positions: int = 8192,
        kernel: str | None = None,
    ) -> Decoder:
        """Build a decoder from a checkpoint in transformers' naming.

        Args:
            config: Its shape.
            state: Tensors by name; what does not begin with the prefix is left alone. Of a mapping that reads a tensor
                when it is asked for, no more than a few layers are in memory at once.
            prefix: What stands before ``layers.0.``.
            ignore: Names below the prefix that belong to something else.
            device: Where it runs.
            precision: Of weights, activations and cache.
            rows: Numbers of rows that steps will have.
            max_positions: Longest rotary position.
            kernel: Name of the one kernel to use; default: measured.

        Raises:
            CheckpointMismatch: A tensor is missing, unexpected or misshapen.
            QuantizationUnavailable: Nothing of that precision works here.
        """
        layers, norm = read_layers(config, state, prefix, ignore, device)
        return cls(config, layers, norm, precision=precision, rows=rows, max_positions=max_positions, kernel=kernel)

    def pack(self, weight: Tensor, bias: Tensor | None = None) -> PackedLinear:
        """A linear layer beside the decoder, such as a head, with the decoder's precision and kernels."""
        return PackedLinear(
            weight.detach().to(self.device), None if bias is None else bias.to(self.device), self.kernel
        )

    def compile(self, mode: str = "default", *, fallback: bool = True) -> None:
        """Compile what stands between the matrix products of a step; prompts, whose lengths vary, stay eager.

        Args:
            mode: Mode of torch.compile.
            fallback: Run eagerly where compilation fails (see `realtts.accel.compile.compiled`).
        """
        self._glue = Glue(*(compiled(f, mode=mode, dynamic=False, fallback=fallback) for f in (normed, heads, gated)))

    def _packed(self, layer: LayerWeights) -> _Layer:
        def norm(weight: Tensor | None) -> Tensor | None:
            return None if weight is None else weight.detach().to(self.precision.activations)

        bias = None if layer.qkv_bias is None else layer.qkv_bias.detach().to(self.precision.activations)
        return _Layer(
            input_norm=layer.input_norm.detach().to(self.precision.activations),
            qkv=PackedLinear(layer.qkv, bias, self.kernel),
            q_norm=norm(layer.q_norm),
            k_norm=norm(layer.k_norm),
            out=PackedLinear(layer.out, None, self.kernel),
            mlp_norm=layer.mlp_norm.detach().to(self.precision.activations),
            gate_up=PackedLinear(layer.gate_up, None, self.kernel),
            down=PackedLinear(layer.down, None, self.kernel),
        )

    # -- memory --------------------------------------------------------------------------------------------------

    def new_cache(self, rows: int, cap: int) -> KVCache:
        """A cache of this decoder's own type.

        Raises:
            DecoderError: Not even one row or slot, or more slots than the decoder has positions.
        """
        if cap > len(self._rope):
            raise DecoderError(
                f"a cache of {cap} slots, but {len(self._rope)} positions", who="decoder", fix="raise max_positions"
            )
        return KVCache(self.config, rows, cap, dtype=self.kv_dtype, device=self.device)

    def bytes_read(self, cache: KVCache, attended: int) -> int:
        """Bytes of weights and cache that one step reads at least: what the memory's bandwidth bounds."""
        linears = (linear for layer in self._layers for linear in (layer.qkv, layer.out, layer.gate_up, layer.down))
        return sum(linear.bytes_read for linear in linears) + cache.bytes_read(attended)

    # -- work ----------------------------------------------------------------------------------------------------

    def prefill(
        self,
        x: Tensor,
        cache: KVCache,
        *,
        valid: Tensor | None = None,
        positions: Tensor | None = None,
        rows: Sequence[int] | None = None,
        attended: int | None = None,
        every: bool = False,
        taps: Taps | None = None,
    ) -> Tensor:
        """Read prompts into the cache, after what its rows hold already.

        Args:
            x: Embeddings (rows, n, hidden), padded left or right to one length.
            cache: Written to.
            valid: bool (rows, n): what is not padding; default: everything.
            positions: int64 (rows, n): rotary positions; default: counted over the valid ones.
            rows: Rows of the cache that are meant; default: all.
            attended: Slots to look at; default: as many as are used. Give it inside a graph.
            every: Return the hidden states of all positions.
            taps: Attention to hand out, into `Taps.prompt`.

        Returns:
            Hidden states after the last norm: (rows, hidden) at each row's last valid position, or (rows, n, hidden).

        Raises:
            DecoderError: The prompt does not fit.
        """
        n = x.shape[1]
        if attended is None:  # else the caller, inside a graph, answers for what it gives
            self.check_prompt(x, cache, valid=valid, positions=positions, rows=rows)
            attended = self._count_prompt(cache, n, rows)
        # A list becomes a tensor by a copy from the host, which a graph cannot hold; all rows need none.
        where = torch.arange(cache.rows, device=self.device) if rows is None else torch.tensor(rows, device=self.device)
        slots, mask, cos, sin = self._place(n, cache, where, valid, positions, attended)
        place = None if taps is None else taps.of_prompt(len(x), n, attended)

        def attend(index: int, q: Tensor, kv: Tensor) -> Tensor:
            stored = cache.layer(index)
            stored[:, where[:, None], :, slots] = torch.unflatten(kv, 0, (-1, n)).to(cache.dtype)
            seen = (stored if rows is None else stored[:, where])[..., :attended, :]
            q = torch.unflatten(q, 0, (-1, n))
            if taps is not None and place is not None:
                taps.write(place, index, q, seen[0], mask)
            return attend_prompt(q, seen, mask)

        hidden = torch.unflatten(self._run(x.flatten(0, 1), cos, sin, attend, step=False), 0, (-1, n))
        if every:
            return hidden
        return hidden[torch.arange(len(hidden), device=self.device), self._last(valid, len(hidden), n)]

    def step(self, x: Tensor, cache: KVCache, *, attended: int | None = None, taps: Taps | None = None) -> Tensor:
        """Decode one position of every row; frozen rows change nothing that counts.

        Args:
            x: Embeddings (rows, hidden).
            cache: Written to.
            attended: Slots to look at, which must hold numbers already (`KVCache.reach`); the caller then counts
                `KVCache.used`. For graphs. Default: as many as are used, and counted here.
            taps: Attention to hand out, into `Taps.step`.

        Returns:
            Hidden states after the last norm, (rows, hidden).

        Raises:
            DecoderError: The cache is full.
        """
        if attended is None:
            attended = self.advance(cache, Buckets(cache.cap))
        row = torch.arange(cache.rows, device=self.device)
        slots = torch.where(cache.active, cache.slots, cache.cap)
        cache.valid.scatter_(1, slots[:, None], cache.active[:, None])
        cache.rotations.scatter_(1, slots[:, None], cache.positions[:, None])
        mask = allowed_keys(cache.valid[:, :attended], cache.dtype)[:, None, None]
        cos, sin = self._rope(cache.positions, self.precision.activations)

        def attend(index: int, q: Tensor, kv: Tensor) -> Tensor:
            stored = cache.layer(index)
            stored[:, row, :, slots] = kv.to(cache.dtype)
            seen = stored[..., :attended, :]
            if taps is not None:
                taps.write(taps.of_step(attended), index, q[:, None], seen[0], mask, active=cache.active)
            return attend_step(q, seen, mask)

        hidden = self._run(x, cos, sin, attend, step=True)
        cache.slots.add_(cache.active)
        cache.positions.add_(cache.active)
        return hidden

    def advance(self, cache: KVCache, buckets: Buckets) -> int:
        """Count one more slot in every row, on the host, and return the bucket that a step must look at.

        Raises:
            DecoderError: The cache is full.
        """
        if cache.filled >= cache.cap:
            raise DecoderError(f"all {cache.cap} slots are used", who="decoder", fix="make the cache larger")
        cache.used = [n + 1 for n in cache.used]
        attended = buckets.holding(cache.filled)
        cache.reach(attended)
        return attended

    def _run(
        self, x: Tensor, cos: Tensor, sin: Tensor, attend: Callable[[int, Tensor, Tensor], Tensor], *, step: bool
    ) -> Tensor:
        """All layers over (tokens, hidden); ``attend`` gets q (tokens, heads, d) and kv (tokens, 2, kv_heads, d)."""
        c, glue = self.config, self._glue if step else Glue()
        x = x.to(self.precision.activations)
        for index, layer in enumerate(self._layers):
            h = glue.normed(x, layer.input_norm, c.norm_eps)
            qkv = layer.qkv(h).to(x.dtype).view(-1, c.heads + 2 * c.kv_heads, c.head_dim)
            q, kv = glue.heads(qkv, layer.q_norm, layer.k_norm, c.norm_eps, cos, sin, c.kv_heads)
            attention = attend(index, q, kv).to(x.dtype)
            x = x + layer.out(attention.reshape(-1, c.heads * c.head_dim)).to(x.dtype)
            h = glue.normed(x, layer.mlp_norm, c.norm_eps)
            x = x + layer.down(glue.gated(layer.gate_up(h))).to(x.dtype)
        return glue.normed(x, self._final_norm, c.norm_eps)

    def _count_prompt(self, cache: KVCache, n: int, rows: Sequence[int] | None) -> int:
        """Count the prompt's slots on the host; how many its rows use now."""
        meant = range(cache.rows) if rows is None else rows
        for row in meant:
            cache.used[row] += n
        attended = max(cache.used[row] for row in meant)
        cache.reach(attended)
        return attended

    def _place(  # noqa: PLR0917 - private, called in one place
        self, n: int, cache: KVCache, where: Tensor, valid: Tensor | None, positions: Tensor | None, attended: int
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Give each prompt token its slot and position, and move the rows on: slots, mask, cosine and sine."""
        offsets = torch.arange(n, device=self.device)
        if valid is None:
            valid = torch.ones(len(where), n, dtype=torch.bool, device=self.device)
        slots = cache.slots[where][:, None] + offsets
        if positions is None:
            positions = (cache.positions[where][:, None] + valid.cumsum(1) - 1).clamp_(min=0)
        known = cache.valid[where].scatter(1, slots, valid)
        cache.valid[where] = known
        cache.rotations[where] = cache.rotations[where].scatter(1, slots, positions)
        keys = torch.arange(attended, device=self.device)
        earlier = known[:, None, :attended] & (keys <= slots[..., None])
        # Padding looks at itself, because a row of nothing but -inf would be NaN, and NaN outlives every mask.
        mask = allowed_keys(earlier | (keys == slots[..., None]), cache.dtype)[:, None]
        last = self._last(valid, len(where), n)[:, None]
        cache.slots[where] = slots.gather(1, last)[:, 0] + 1
        cache.positions[where] = positions.gather(1, last)[:, 0] + 1
        cos, sin = self._rope(positions.flatten(), self.precision.activations)
        return slots, mask, cos, sin

    def _last(self, valid: Tensor | None, count: int, n: int) -> Tensor:
        """Index of each row's last valid position, (rows,)."""
        offsets = torch.arange(n, device=self.device)
        return offsets[-1:].expand(count) if valid is None else (valid * offsets).amax(1)

    def check_prompt(
        self,
        x: Tensor,
        cache: KVCache,
        *,
        valid: Tensor | None = None,
        positions: Tensor | None = None,
        rows: Sequence[int] | None = None,
        fresh: bool = False,
    ) -> None:
        """Check that `prefill` can read a prompt; changes nothing.

        Args:
            x: As for `prefill`.
            cache: As for `prefill`.
            valid: As for `prefill`.
            positions: As for `prefill`.
            rows: As for `prefill`.
            fresh: Check as if the rows were empty.

        Raises:
            DecoderError: The prompt does not fit; says what does.
        """
        meant = list(range(cache.rows) if rows is None else rows)
        if not meant or len(set(meant)) != len(meant) or not set(meant) <= set(range(cache.rows)):
            raise _unfit(f"rows are {meant}", f"give some of {cache.rows} rows, each once")
        if x.dim() != 3 or x.shape[0] != len(meant) or x.shape[1] < 1 or x.shape[2] != self.config.hidden_size:
            wanted = f"({len(meant)}, n, {self.config.hidden_size}), n at least 1"
            raise _unfit(f"embeddings have the shape {tuple(x.shape)}", f"give {wanted}")
        n = x.shape[1]
        for name, given in (("valid", valid), ("positions", positions)):
            if given is not None and tuple(given.shape) != (len(meant), n):
                raise _unfit(f"{name} has the shape {tuple(given.shape)}", f"give ({len(meant)}, {n})")
        if valid is not None and not bool(valid.any(1).all()):
            raise _unfit("a row of the prompt is nothing but padding", "leave it out")
        if positions is not None and not 0 <= int(positions.min()) <= int(positions.max()) < len(self._rope):
            raise _unfit(f"positions reach {int(positions.max())}", f"give 0 to {len(self._rope) - 1}")
        used = 0 if fresh else max(cache.used[row] for row in meant)
        if used + n > cache.cap:
            raise _unfit(
                f"a prompt of {n} positions after {used}, but the cache has {cache.cap} slots",
                "shorten the prompt or make the cache larger",
            )


def _sample(layers: Iterator[LayerWeights]) -> deque[LayerWeights]:
    """The first layers, as many as the choice of a kernel looks at."""
    taken: deque[LayerWeights] = deque()
    size = 0
    while size < SAMPLE_BYTES and (layer := next(layers, None)) is not None:
        taken.append(layer)
        size += sum(4 * weight.numel() for weight in layer.matrices)
    return taken


def _unfit(what: str, fix: str) -> DecoderError:
    return DecoderError(what, who="decoder", fix=fix)
