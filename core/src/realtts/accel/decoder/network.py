"""The decoder: prefill of a prompt and one step for all rows, over a static cache."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from realtts.accel.decoder.attend import Taps, attend_prompt
from realtts.accel.decoder.buckets import Buckets
from realtts.accel.decoder.cache import KVCache
from realtts.accel.decoder.fused_step import FusedStep
from realtts.accel.decoder.kernel_choice import choose_step_kernel
from realtts.accel.decoder.layers import LayerStack
from realtts.accel.decoder.native_step import NativeStep
from realtts.accel.decoder.placement import check_prompt, count_prompt, last_valid, place_prompt
from realtts.accel.decoder.precision import Precision, choose_kv_dtype
from realtts.accel.decoder.reading import read_layers
from realtts.accel.decoder.rope import RopeTable
from realtts.accel.decoder.step_choice import choose_step
from realtts.accel.decoder.storing import begin_storing, pack_layers, pack_linear
from realtts.accel.decoder.torch_step import TorchStep
from realtts.accel.kernels import PackedLinear
from realtts.accel.weights.packed_cache import NO_CACHE, PackedWeights
from realtts.errors import DecoderError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from torch import Tensor

    from realtts.accel.decoder.config import DecoderConfig
    from realtts.accel.decoder.layers import Rotation
    from realtts.accel.decoder.places import Places, Run
    from realtts.accel.decoder.step_attention import StepAttention
    from realtts.accel.decoder.storing import Sampled
    from realtts.accel.decoder.weights import LayerWeights
    from realtts.accel.kernels import Kernel

__all__ = ["Decoder", "Precision", "Taps"]


class Decoder:
    """A decoder of the Llama or GPT-2 family without embeddings and head, which belong to the model around it.

    Args:
        config: Its shape.
        layers: Weights, already on the device that will run them; not kept, and taken one by one. Those of a sequence
            that are stored are not taken at all.
        final_norm: Weight of the last norm, shape (hidden,).
        final_norm_bias: Its bias, or None.
        precision: Of weights, activations and cache.
        rows: Numbers of rows that steps will have; kernels are chosen for them.
        max_positions: Positions that there are.
        kernel: Name of the one kernel to use; default: measured (see `realtts.accel.kernels.choose_kernel`).
        store: Where packed weights are kept between starts, open until heads are packed as well; default: nowhere.

    Attributes:
        layers: All layers, packed, and the last norm.
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
        store: PackedWeights | None = None,
    ) -> None:
        self.config = config
        self.device = final_norm.device
        self.precision = Precision.of(precision, self.device)
        self._store = NO_CACHE.open({}, "") if store is None else store
        self.kernel, sampled = self.choose_kernel(config, layers, self.precision, self.device, rows=rows, kernel=kernel)
        self.kv_dtype = choose_kv_dtype(config, self.precision, rows, self.device)
        self._positions = max_positions
        self._rope = (
            None if config.rope is None else RopeTable(config.rope, config.head_dim, max_positions, self.device)
        )
        dtype = self.precision.activations
        begin_storing(self._store, config, self.kernel, dtype, self.device)
        stacked = pack_layers(layers, sampled, self.kernel, dtype, self._store)
        bias = None if final_norm_bias is None else final_norm_bias.detach().to(dtype)
        self.layers = LayerStack(config, stacked, final_norm.detach().to(dtype), bias)
        self._step = choose_step(
            config, self.layers, self._rope, self.kernel,
            fused=self.precision.fused, new_cache=self.new_cache, rows=rows,
        )  # fmt: skip

    @staticmethod
    def choose_kernel(
        config: DecoderConfig,
        layers: Iterable[LayerWeights],
        precision: Precision,
        device: torch.device,
        *,
        rows: Sequence[int],
        kernel: str | None = None,
    ) -> tuple[Kernel, Sampled]:
        """Choose the kernel of a decoder, as its constructor does; arguments as of `choose_step_kernel`.

        Returns:
            The kernel, and the layers that were read for the choice, by index.

        Raises:
            QuantizationUnavailable: Nothing of that precision works here, or what works is slower than torch's.
        """
        return choose_step_kernel(config, layers, precision, device, rows=rows, kernel=kernel, build=_of_layers)

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
        store: PackedWeights | None = None,
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
            store: As of the class.

        Raises:
            CheckpointMismatch: A tensor is missing, unexpected or misshapen.
            QuantizationUnavailable: Nothing of that precision works here.
        """
        layers, norm, bias = read_layers(config, state, prefix, ignore, device)
        return cls(
            config, layers, norm, final_norm_bias=bias,
            precision=precision, rows=rows, max_positions=max_positions, kernel=kernel, store=store,
        )  # fmt: skip

    def pack(self, weight: Tensor, bias: Tensor | None = None) -> PackedLinear:
        """Pack a linear layer beside the decoder, such as a head, with the decoder's precision and kernels."""
        return PackedLinear(*self._placed(weight, bias), self.kernel)

    def pack_stored(self, name: str, read: Callable[[], tuple[Tensor, Tensor | None]]) -> PackedLinear:
        """Pack a linear layer as `pack` does, or take it from the decoder's store, without reading it.

        Args:
            name: Its name in the store, of no other layer.
            read: Reads weight and bias.
        """
        return pack_linear(name, lambda: self._placed(*read()), self.kernel, self._store)

    def _placed(self, weight: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor | None]:
        return weight.detach().to(self.device), None if bias is None else bias.to(self.device)

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
        self._step = FusedStep(self.config, self.layers, self._rope, products=products)

    @property
    def fused(self) -> FusedStep | None:
        """What runs the steps, where that is `realtts.accel.fused`; else `step_facts` may say why not."""
        return self._step if isinstance(self._step, FusedStep) else None

    def new_cache(self, rows: int, cap: int) -> KVCache:
        """Allocate a cache of this decoder's type.

        Raises:
            DecoderError: Less than one row or slot, or more slots than the decoder has positions.
        """
        if cap > self._positions:
            what = f"a cache of {cap} slots, but {self._positions} positions"
            raise DecoderError(what, who="decoder", fix="raise max_positions")
        return KVCache(self.config, rows, cap, dtype=self.kv_dtype, device=self.device)

    @property
    def native(self) -> NativeStep | None:
        """What makes steps and prompts in one call of realtts-native; None: torch's operators do."""
        return self._step if isinstance(self._step, NativeStep) else None

    @property
    def step_attention(self) -> StepAttention | None:
        """What attends in steps of `RowLoop`, whose rows have no gaps; None: torch with a mask, or native code."""
        return self._step.attention if isinstance(self._step, TorchStep) else None

    @step_attention.setter
    def step_attention(self, attention: StepAttention | None) -> None:
        if isinstance(self._step, TorchStep):
            self._step.attention = attention

    @property
    def step_facts(self) -> Mapping[str, object]:
        """What the status shows of how steps are computed, beside the kernel's name."""
        return self._step.facts

    def bytes_read(self, cache: KVCache | None, attended: int = 0) -> int:
        """Return the bytes of weights and cache that one step reads at least, for the bound by memory bandwidth."""
        return self._step.bytes_read + (cache.bytes_read(attended) if cache else 0)

    def step_cost(self, head: PackedLinear, cache: KVCache, rows: int | None = None) -> tuple[int, int]:
        """Return the operations and the bytes, at least, of the next step of so many rows; None: of all."""
        weights, n = self.config.parameters + head.in_features * head.out_features, rows or cache.rows
        seen = cache.bytes_read(cache.filled) * n // cache.rows
        return 2 * weights * n, self._step.bytes_read + seen + head.bytes_read

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
        if valid is None and positions is None and taps is None:
            states = self._step.prompt(x, cache, range(cache.rows) if rows is None else rows, attended)
            if states is not None:
                return states if every else states[:, -1]
        where, part = cache.numbers(rows)
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
        return self._step(x, cache, attended, places, taps)

    def _rotation(self, positions: Tensor) -> Rotation:
        """Look up cosine and sine at some positions, where there is a rotation."""
        return (None, None) if self._rope is None else self._rope(positions, self.precision.activations)

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


def _of_layers(config: DecoderConfig, layers: Sequence[LayerWeights], precision: Precision, kernel: str) -> Decoder:
    """Make a decoder of some layers, to be timed."""
    return Decoder(config, layers, torch.ones_like(layers[0].input_norm), precision=precision, kernel=kernel,
                   final_norm_bias=layers[0].input_norm_bias, max_positions=1024)  # fmt: skip
