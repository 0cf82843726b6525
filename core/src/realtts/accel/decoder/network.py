"""The decoder: prefill of a prompt and one step for all rows, over a static cache."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from realtts.accel.decoder.attend import Taps, allowed_keys, attend_prompt, attend_runs, attend_step
from realtts.accel.decoder.buckets import Buckets
from realtts.accel.decoder.cache import KVCache
from realtts.accel.decoder.fused_layers import FEW_POSITIONS, FusedLayers
from realtts.accel.decoder.fusing import fused_form
from realtts.accel.decoder.layers import LayerStack, packed, sample
from realtts.accel.decoder.placement import check_prompt, count_prompt, last_valid, place_prompt
from realtts.accel.decoder.precision import Precision, choose_kv_dtype
from realtts.accel.decoder.reading import read_layers
from realtts.accel.decoder.rope import RopeTable
from realtts.accel.indexed import select, store
from realtts.accel.kernels import PackedLinear, choose_kernel
from realtts.errors import DecoderError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from torch import Tensor

    from realtts.accel.decoder.config import DecoderConfig
    from realtts.accel.decoder.layers import Rotation
    from realtts.accel.decoder.places import Places, Run
    from realtts.accel.decoder.step_attention import StepAttention
    from realtts.accel.decoder.weights import LayerWeights
    from realtts.accel.kernels import Kernel

__all__ = ["Decoder", "Precision", "Taps"]


class Decoder:
    """A decoder of the Llama or GPT-2 family without embeddings and head, which belong to the model around it.

    Args:
        config: Its shape.
        layers: Weights, already on the device that will run them; not kept, and taken one by one.
        final_norm: Weight of the last norm, shape (hidden,).
        final_norm_bias: Its bias, or None.
        precision: Of weights, activations and cache.
        rows: Numbers of rows that steps will have; kernels are chosen for them.
        max_positions: Positions that there are.
        kernel: Name of the one kernel to use; default: measured (see `realtts.accel.kernels.choose_kernel`).

    Attributes:
        layers: All layers, packed, and the last norm.
        rope: Tables of rotary positions, or None.
        fused: The layers as fused operations, after `fuse`; None: steps run as prompts do.
        why_not_fused: Why they are not, where the precision asked for it.
    """

    def __init__(
        self,
        config: DecoderConfig,
        layers: Iterable[LayerWeights],
        final_norm: Tensor,
        *,
        final_norm_bias: Tensor | None = None,
        precision: Precision | str = "fp32",
        rows: Sequence[int] = (2,),
        max_positions: int = 8192,
        kernel: str | None = None,
    ) -> None:
        self.config = config
        self.device = final_norm.device
        self.precision = Precision.of(precision, self.device)
        remaining = iter(layers)
        first = sample(remaining)
        matrices = [weight for layer in first for weight in layer.matrices]
        self.kernel: Kernel = choose_kernel(matrices, self.precision.weights, rows=rows, kernel=kernel)
        del matrices
        self.kv_dtype = choose_kv_dtype(config, self.precision, rows, self.device)
        self._positions = max_positions
        self.rope = None if config.rope is None else RopeTable(config.rope, config.head_dim, max_positions, self.device)
        dtype = self.precision.activations
        # Layers of the sample are freed one by one, like those that are read after them.
        stacked = [packed(first.popleft(), self.kernel, dtype) for _ in range(len(first))]
        stacked += [packed(layer, self.kernel, dtype) for layer in remaining]
        bias = None if final_norm_bias is None else final_norm_bias.detach().to(dtype)
        self.layers = LayerStack(config, stacked, final_norm.detach().to(dtype), bias)
        self.step_attention: StepAttention | None = None  # of `RowLoop`'s steps, whose rows have no gaps
        self.fused: FusedLayers | None = None
        self.why_not_fused: str | None = None
        if self.precision.fused:
            self._choose_step(rows)

    @classmethod
    def from_state_dict(
        cls,
        config: DecoderConfig,
        state: Mapping[str, Tensor],
        *,
        prefix: str = "model.",
        ignore: Collection[str] = ("embed_tokens.weight", "wte.weight", "wpe.weight"),
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
            prefix: Prefix of ``layers.0.``, or of GPT-2's ``h.0.``.
            ignore: Names below the prefix that belong to something else; default: transformers' embeddings.
            device: Where it runs.
            precision: Of weights, activations and cache.
            rows: Numbers of rows that steps will have.
            max_positions: Positions that there are.
            kernel: Name of the one kernel to use; default: measured.

        Raises:
            CheckpointMismatch: A tensor is missing, unexpected or misshapen.
            QuantizationUnavailable: Nothing of that precision works here.
        """
        layers, norm, bias = read_layers(config, state, prefix, ignore, device)
        return cls(
            config, layers, norm, final_norm_bias=bias,
            precision=precision, rows=rows, max_positions=max_positions, kernel=kernel,
        )  # fmt: skip

    def pack(self, weight: Tensor, bias: Tensor | None = None) -> PackedLinear:
        """Pack a linear layer beside the decoder, such as a head, with the decoder's precision and kernels."""
        return PackedLinear(
            weight.detach().to(self.device), None if bias is None else bias.to(self.device), self.kernel
        )

    def compile(self, mode: str = "default", *, fallback: bool = True) -> None:
        """Compile the pointwise work between the matrix products of a step; prompts, whose lengths vary, stay eager.

        Args:
            mode: Mode of torch.compile.
            fallback: Run eagerly where compilation fails (see `realtts.accel.compile.compiled`).
        """
        self.layers.compile(mode, fallback=fallback)

    @property
    def compiled(self) -> bool:
        """Whether compiled code has run."""
        return self.layers.compiled

    def fuse(self, *, products: bool = True) -> None:
        """Run steps by `realtts.accel.fused`, in a third of the launches, wherever it is.

        Args:
            products: Whether norms, activations and residuals are part of the products.
        """
        self.fused = FusedLayers(self.config, self.layers, self.rope, products=products)

    def _choose_step(self, rows: Sequence[int]) -> None:
        form = fused_form(self.config, self.layers, self.rope, new_cache=self.new_cache, rows=rows)
        if isinstance(form, str):
            self.why_not_fused = form
            self.compile()
        else:
            self.fused = form

    def new_cache(self, rows: int, cap: int) -> KVCache:
        """Allocate a cache of this decoder's type.

        Raises:
            DecoderError: Less than one row or slot, or more slots than the decoder has positions.
        """
        if cap > self._positions:
            what = f"a cache of {cap} slots, but {self._positions} positions"
            raise DecoderError(what, who="decoder", fix="raise max_positions")
        return KVCache(self.config, rows, cap, dtype=self.kv_dtype, device=self.device)

    def bytes_read(self, cache: KVCache | None, attended: int = 0) -> int:
        """Return the bytes of weights and cache that one step reads at least, for the bound by memory bandwidth."""
        return self.layers.bytes_read + (cache.bytes_read(attended) if cache else 0)

    def step_cost(self, head: PackedLinear, cache: KVCache, rows: int | None = None) -> tuple[int, int]:
        """Return the operations and the bytes, at least, of the next step of so many rows; None: of all."""
        weights, n = self.config.parameters + head.in_features * head.out_features, rows or cache.rows
        seen = cache.bytes_read(cache.filled) * n // cache.rows
        return 2 * weights * n, self.layers.bytes_read + seen + head.bytes_read

    def prefill(
        self,
        x: Tensor,
        cache: KVCache,
        *,
        valid: Tensor | None = None,
        positions: Tensor | None = None,
        rows: Sequence[int] | Tensor | None = None,
        attended: int | None = None,
        every: bool = False,
        taps: Taps | None = None,
    ) -> Tensor:
        """Read prompts into the cache, behind what its rows hold already.

        Args:
            x: Embeddings (rows, n, hidden), padded left or right to one length.
            cache: Written to.
            valid: bool (rows, n): what is not padding; default: everything.
            positions: int64 (rows, n): positions that keys are rotated by; default: counted over the valid ones.
            rows: Rows of the cache that are written; default: all. For graphs int64 on the device, with ``attended``.
            attended: Slots to attend to, counted (`KVCache.used`) and zeroed (`KVCache.reach`) by the caller, who has
                checked the prompt, too: for graphs. Default: as many as are used, counted and checked here.
            every: Return the hidden states of all positions.
            taps: Attention to hand out, into `Taps.prompt`.

        Returns:
            Hidden states after the last norm: (rows, hidden) at each row's last valid position, or (rows, n, hidden).

        Raises:
            DecoderError: The prompt does not fit.
        """
        n = x.shape[1]
        if attended is None:
            assert not isinstance(rows, torch.Tensor), "counted on the host"
            self.check_prompt(x, cache, valid=valid, positions=positions, rows=rows)
            attended = count_prompt(cache, n, rows)
        where, part = cache.numbers(rows)
        plain = valid is None and positions is None and taps is None and not every
        if self.fused is not None and plain and n <= FEW_POSITIONS:
            return self.fused.read(x, cache, where, attended)
        slots, at, mask = place_prompt(n, cache, where, valid, positions, attended)
        rotation = self._rotation(at.flatten())
        place = None if taps is None else taps.of_prompt(len(x), n, attended)

        def attend(index: int, q: Tensor, kv: Tensor) -> Tensor:
            stored = cache.layer(index)  # (2, rows of the cache, kv_heads, cap + 1, d)
            # (rows * n, 2, kv_heads, d) -> (rows, n, 2, kv_heads, d), the order of an assignment by two index tensors
            stored[:, where[:, None], :, slots] = torch.unflatten(kv, 0, (-1, n)).to(cache.dtype)
            seen = (stored[:, part] if part else stored.index_select(1, where))[..., :attended, :]
            q = torch.unflatten(q, 0, (-1, n))  # (rows * n, heads, d) -> (rows, n, heads, d)
            if taps is not None and place is not None:
                taps.write_prompt(place, index, q, seen[0], mask)
            return attend_prompt(q, seen, mask)

        # Layers work on tokens, (rows, n, hidden) -> (rows * n, hidden) and back: only attention knows of rows.
        hidden = torch.unflatten(self.layers(x.flatten(0, 1), rotation, attend, step=False), 0, (-1, n))
        if every:
            return hidden
        return hidden[torch.arange(len(hidden), device=self.device), last_valid(valid, len(hidden), n, self.device)]

    def step(
        self,
        x: Tensor,
        cache: KVCache,
        *,
        attended: int | Sequence[Run] | None = None,
        places: Places | None = None,
        taps: Taps | None = None,
    ) -> Tensor:
        """Decode one position of every row, or of some; frozen rows change nothing that counts.

        Args:
            x: Embeddings (n, hidden).
            cache: Written to.
            attended: Slots to attend to, from `KVCache.advance`: for graphs. Default: as many as are used.
            places: Which rows; default: all.
            taps: Attention to hand out, into `Taps.step`.

        Returns:
            Hidden states after the last norm, (n, hidden).

        Raises:
            DecoderError: The cache is full.
        """
        if attended is None:
            attended = cache.advance(Buckets(cache.cap), places)
        rows = None if places is None else places.rows
        far = attended if isinstance(attended, int) else max(run.attended for run in attended)
        if self.fused is not None:
            return self.fused.step(x, cache, rows, far, taps)
        index = torch.arange(cache.rows, device=self.device) if rows is None else rows
        active, following, positions = (select(t, rows) for t in (cache.active, cache.slots, cache.positions))
        slots = torch.where(active, following, cache.cap)  # frozen rows write behind the cap
        cache.valid.index_put_((index, slots), active)
        cache.rotations.index_put_((index, slots), positions)
        runs = None if isinstance(attended, int) else attended
        mask = allowed_keys(select(cache.valid[:, :far], rows), cache.dtype)[:, None, None]
        masks = [mask[r.begin : r.begin + r.count, ..., : r.attended] for r in runs or ()]
        rotation = self._rotation(positions)
        apart = None
        if self.step_attention is not None and places is not None and runs is None:
            lengths = torch.where(active, following + 1, following.clamp(min=1))
            apart = self.step_attention.begin(cache, index, lengths, far)

        def attend(layer: int, q: Tensor, kv: Tensor) -> Tensor:
            stored = cache.layer(layer)  # (2, rows, kv_heads, cap + 1, d)
            stored[:, index, :, slots] = kv.to(cache.dtype)  # kv is (n, 2, kv_heads, d): indexed dimensions come first
            if taps is not None:
                taps.write_step(layer, q, stored[0], mask, active, rows)
            if apart is not None:
                return apart(q.to(cache.dtype), stored)
            if runs is not None:
                return attend_runs(q, stored, masks, runs)
            seen = stored[..., :far, :]
            return attend_step(q, seen if rows is None else seen.index_select(1, rows), mask)

        hidden = self.layers(x, rotation, attend, step=True)
        store(cache.slots, rows, following + active)
        store(cache.positions, rows, positions + active)
        return hidden

    def _rotation(self, positions: Tensor) -> Rotation:
        """Look up cosine and sine at some positions, where there is a rotation."""
        return (None, None) if self.rope is None else self.rope(positions, self.precision.activations)

    def check_prompt(
        self,
        x: Tensor,
        cache: KVCache,
        *,
        valid: Tensor | None = None,
        positions: Tensor | None = None,
        rows: Sequence[int] | None = None,
    ) -> None:
        """Check that `prefill` can read a prompt; changes nothing.

        What masks and positions hold is checked where they lie on the host; elsewhere that would wait for the device.

        Args:
            x: As for `prefill`.
            cache: Not written to.
            valid: As for `prefill`.
            positions: As for `prefill`.
            rows: As for `prefill`.

        Raises:
            DecoderError: The prompt does not fit; says what does.
        """
        check_prompt(x, cache, self.config.hidden_size, self._positions, valid, positions, rows)
