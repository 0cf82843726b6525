"""The interface of the compiled library; arrays are anything with DLPack or the buffer protocol, or a `Buffer` of it.

A wrong shape, type or stride, a row or position that is not there, and a machine without the instructions raise
ValueError or RuntimeError before any work, with what is wrong and what to give.
"""

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

LAYOUT: int
"""Version of the form that `Weight.dump` writes; another version cannot be loaded."""

Array: TypeAlias = Any
"""An array of numpy or torch on the host, or a `Buffer` of one."""

def features() -> tuple[str, ...]:
    """Return the instruction sets of this CPU that the library has kernels for, fastest first.

    Of ``"avx512vnni"`` and ``"avx2"``.
    """

def usable() -> str | None:
    """Return why nothing can run here, or None: it can."""

def instruction_set() -> str | None:
    """Return the set in use: the fastest, or the one that ``REALTTS_NATIVE_ISA`` names; None: `usable` says why."""

class Buffer:
    """A checked handle on an array, made once and given often: asking an array for its pointer takes microseconds.

    Args:
        array: On the host; it is kept alive.
    """

    def __init__(self, array: Any) -> None: ...
    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def dtype(self) -> str:
        """``"float32"``, ``"float16"``, ``"bfloat16"``, ``"int64"``, ``"bool"``, ..."""

class Pool:
    """Threads that share a step's work with the caller: not pinned, asleep after 50 microseconds without work.

    One call at a time; others wait. A forked child starts its own. Results do not depend on the number of threads.

    Args:
        threads: With the caller; None: ``REALTTS_NATIVE_THREADS``, else as many as the process may use, at most 8.
    """

    def __init__(self, threads: int | None = None) -> None: ...
    @property
    def threads(self) -> int: ...
    @staticmethod
    def default() -> Pool:
        """Return the one that is used where none is given, shared by the process."""

    def read_rates(self, megabytes: int = 1024, rounds: int = 9) -> list[float]:
        """Measure the bytes per second at which all threads together read memory, in some rounds."""

class Weight:
    """A packed matrix (out, in), its bias beside it. Made by `pack` and `load`."""

    @staticmethod
    def pack(
        array: Array, kind: str = "int8", *, bias: Array | None = None, parts: int = 1, pool: Pool | None = None
    ) -> Weight:
        """Round and pack.

        Args:
            array: float32, bfloat16 or float16 (out, in), finite.
            kind: ``"int8"`` (one scale per output), ``"int4"`` (symmetric, a float16 scale per 32 inputs) or
                ``"bf16"``.
            bias: float32 (out,).
            parts: Equal parts of the outputs that are packed apart: 2 for gate and up of a gated MLP.
            pool: Threads that pack; default: `Pool.default`.
        """

    @staticmethod
    def load(buffer: Any, offset: int = 0, *, copy: bool = False) -> Weight:
        """Take what `dump` wrote.

        Args:
            buffer: Bytes, such as a mapped file; kept alive unless copied.
            offset: Where it begins.
            copy: Copy it to huge pages. It is also copied if it does not begin at a multiple of 64 bytes.

        Raises:
            ValueError: Not a dump of this layout, or cut short.
        """

    def dump(self) -> bytes:
        """Return all of it, `dump_nbytes` bytes, a multiple of 64, the same on every instruction set."""

    def view(self) -> npt.NDArray[np.uint8]:
        """Return the bytes of `dump` without a copy, read-only, for a file to write."""

    @property
    def dump_nbytes(self) -> int: ...
    @property
    def kind(self) -> str: ...
    @property
    def parts(self) -> int: ...
    @property
    def out_features(self) -> int: ...
    @property
    def in_features(self) -> int: ...
    @property
    def nbytes(self) -> int:
        """Bytes that one product reads."""

    def dequantized(self) -> npt.NDArray[np.float32]:
        """Return what it stands for, float32 (out, in)."""

    def run(self, x: Array, out: Array, *, pool: Pool | None = None) -> None:
        """Multiply: ``out = x @ weight.T + bias``, both float32 with dense rows, (rows, in) and (rows, out).

        Quantized kinds round ``x`` to int8 with a scale per 64 (int4: 32) inputs. A row's result is the same to the
        bit beside any others.
        """

class Layer:
    """One layer of a decoder; fields as of `realtts.accel.decoder.LayerWeights`, norms float32.

    With `Step`'s ``gated`` the weight ``gate_up`` is packed with ``parts=2``.
    """

    def __init__(
        self,
        *,
        input_norm: Array,
        qkv: Weight,
        out: Weight,
        mlp_norm: Array,
        gate_up: Weight,
        down: Weight,
        input_norm_bias: Array | None = None,
        q_norm: Array | None = None,
        k_norm: Array | None = None,
        mlp_norm_bias: Array | None = None,
    ) -> None: ...

class Cache:
    """The tensors of a `realtts.accel.decoder.KVCache`, bound once.

    Args:
        kv: float16, bfloat16 or float32 (layers, 2, rows, kv_heads, cap + 1, head_dim), the last dimension dense.
        slots: int64 (rows,).
        positions: int64 (rows,).
        valid: bool (rows, cap + 1), rows dense.
        rotations: int64 (rows, cap + 1), rows dense.
        active: bool (rows,).
    """

    def __init__(
        self, kv: Array, *, slots: Array, positions: Array, valid: Array, rotations: Array, active: Array
    ) -> None: ...
    @property
    def rows(self) -> int: ...
    @property
    def cap(self) -> int: ...

class Taps:
    """Where attention weights of chosen heads go, bound once.

    Args:
        heads: Pairs of layer and query head.
        output: float32 (pairs, rows, cap), as `realtts.accel.decoder.Taps.step`.
    """

    def __init__(self, heads: Sequence[tuple[int, int]], output: Array) -> None: ...

class Step:
    """A whole decoder: layers, last norm, and where it is given the head.

    Args:
        layers: In order.
        final_norm: float32 (hidden,).
        heads: Query heads.
        kv_heads: Key and value heads.
        head_dim: Width of a head.
        eps: Epsilon of the norms.
        gated: MLP of SiLU and gate, else of GELU's tanh form.
        final_norm_bias: float32 (hidden,); with it all norms are LayerNorm and have biases.
        cos: float32 (positions, head_dim), as the tables of `realtts.accel.decoder.rope.RopeTable`; None: no rotation.
        sin: The same, the first half negated.
        head: Packed output projection, for `run`'s ``logits``.
    """

    def __init__(
        self,
        layers: Sequence[Layer],
        final_norm: Array,
        *,
        heads: int,
        kv_heads: int,
        head_dim: int,
        eps: float,
        gated: bool = True,
        final_norm_bias: Array | None = None,
        cos: Array | None = None,
        sin: Array | None = None,
        head: Weight | None = None,
    ) -> None: ...
    @property
    def nbytes(self) -> int:
        """Bytes of weights that a step reads, the head included."""

    def run(
        self,
        x: Array,
        cache: Cache,
        out: Array,
        *,
        rows: Sequence[int] | None = None,
        attended: int | Sequence[int] | None = None,
        logits: Array | None = None,
        taps: Taps | None = None,
        pool: Pool | None = None,
    ) -> None:
        """Decode one position of some rows, or several: all that `realtts.accel.decoder.Decoder.step` does.

        Keys and values are stored in the cache (of a frozen row behind the cap), ``valid`` and ``rotations`` are
        marked, and ``slots`` and ``positions`` of active rows move on by one. A row's result is the same to the bit
        beside any others and with any number of threads. Runs without the GIL.

        Args:
            x: float32 (n, hidden); not changed.
            cache: Of this decoder.
            out: float32 (n, hidden), hidden states after the last norm.
            rows: Numbers of the cache's rows; None: all, in order. A row comes as often as it has positions, which
                follow each other and look at those before: a prompt is read like that, the same to the bit as one
                by one.
            attended: Slots that a row looks at, for all or for each; None: as far as it has keys.
            logits: float32 (n, vocabulary), the head's output.
            taps: Attention weights to write, of active rows.
            pool: Default: `Pool.default`.

        Raises:
            ValueError: Something does not fit, or an active row's cache or the table of positions is used up;
                nothing was changed.
        """

class RowWeight:
    """A matrix (out, in) in int8, one scale for each output, for `row_product`; it takes AVX-512 VNNI.

    Args:
        weight: float32 or bfloat16 (out, in), rows dense, finite, at most 65,536 inputs.
        bias: float32 (out,).
        block: Inputs that are mixed with each other, by a Hadamard matrix with signs flipped at random, before they are
            rounded, and the inputs of a product with them: a power of two from 16 that divides them, or 1 for none.
            Products stay the same, and a few large channels do not cost the others their precision.

    Raises:
        ValueError: Something does not fit, or a weight is not finite.
    """

    def __init__(self, weight: Array, bias: Array | None = None, *, block: int = 1) -> None: ...
    @property
    def in_features(self) -> int: ...
    @property
    def out_features(self) -> int: ...
    @property
    def nbytes(self) -> int:
        """Bytes of the values."""

def row_product(
    x: Array,
    weight: RowWeight,
    out: Array,
    *,
    second: RowWeight | None = None,
    window: int = 1,
    norm: Array | None = None,
    last_norm: Array | None = None,
    eps: float = 1e-5,
    activation: str = "none",
    shift: Array | None = None,
    gate: Array | None = None,
    add: bool = False,
    pool: Pool | None = None,
) -> None:
    """Multiply rows that are rounded to int8, each with a scale of its own, by int8 weights.

    ``y = norm(x) @ weight.T + bias``; with ``second``, ``y = activation(y) @ second.T + bias``; then in this order
    ``last_norm``, the activation if it did not come before, ``+ shift``, ``* gate``; ``out`` becomes ``y``, or
    ``out + y``. A row's result is the same to the bit beside any others and with any number of threads; one with a
    number that is not finite is NaN. Runs without the GIL.

    Args:
        x: float32 or bfloat16 (rows, channels), rows dense.
        weight: Of ``window * channels`` inputs.
        out: float32 or bfloat16 (rows, outputs), rows dense; other memory than ``x``, or ``x`` itself without a window.
        second: Of as many inputs as ``weight`` has outputs.
        window: Rows of ``x`` that a row of inputs has side by side, its own the last; before the first are zeros.
        norm: Weight and bias of a LayerNorm, float32 (2, channels); without a window.
        last_norm: The same of the outputs, float32 (2, outputs).
        eps: Of both norms.
        activation: ``"none"``, ``"gelu"``, ``"gelu_tanh"``, ``"silu"`` or ``"mish"``.
        shift: float32 (outputs,).
        gate: float32 (outputs,).
        add: Add to ``out``.
        pool: Default: `Pool.default`.

    Raises:
        ValueError: Something does not fit; nothing was changed.
        RuntimeError: The instructions in use are not AVX-512 VNNI.
    """

def packed_attention(
    qkv: Array,
    out: Array,
    *,
    heads: int,
    spans: Sequence[tuple[int, int]],
    exact: bool = True,
    scale: float = 1.0,
    rotary: Array | None = None,
    rotated: int | None = None,
    pool: Pool | None = None,
) -> None:
    """Attend within each sequence of a packed batch: means of the values, weighted by ``2 ** (scale * q . k)``.

    Args:
        qkv: float32 or bfloat16 (rows, 3 * heads * width), rows dense; width a multiple of 16, at most 128.
        out: float32 or bfloat16 (rows, heads * width), rows dense; rows of no sequence are left as they are.
        heads: Number of heads.
        spans: First row and number of rows of each sequence.
        exact: Multiply in float32; else by integers of 12 bits, with a scale for each row of a head.
        scale: Of the scores, beside what is part of the queries.
        rotary: Cosines and sines, float32 (2, positions, width / 2), by which channel c turns against c + width / 2.
        rotated: Heads that turn, from the first; None: all.
        pool: Default: `Pool.default`.

    Raises:
        ValueError: Something does not fit; nothing was changed.
        RuntimeError: The instructions in use are not AVX-512 VNNI.
    """

def attention(
    q: Array,
    k: Array,
    v: Array,
    out: Array,
    *,
    exact: bool = True,
    scale: float = 1.0,
    keys: Array | None = None,
    pool: Pool | None = None,
) -> None:
    """Do the same where heads lie apart.

    Args:
        q: float32 or bfloat16 (sequences, heads, rows, width), dense in the last dimension.
        k: The same shape.
        v: The same shape.
        out: (sequences, rows, heads * width), dense in the last dimension.
        exact: As of `packed_attention`.
        scale: As of `packed_attention`.
        keys: Which rows may be looked at, bool (sequences, rows); where none may, the mean is 0.
        pool: Default: `Pool.default`.

    Raises:
        ValueError: Something does not fit; nothing was changed.
        RuntimeError: The instructions in use are not AVX-512 VNNI.
    """

class SamplingValues:
    """The tensors of a sampler's parameters of the rows that a step draws, bound once for so many places.

    Args:
        temperature: float32 (n, 1), like all but the following.
        top_k: int64 (n, 1).
        top_p: What is left of it, 1 - p, rounded once.
        min_p: Share of the best token's probability.
        repetition_penalty: Of tokens in the history.
        guidance: Its weight.
        min_new_tokens: int64 (n, 1).
        greedy: bool (n, 1).
        stops: bool (n, vocabulary).
    """

    def __init__(
        self,
        *,
        temperature: Array,
        top_k: Array,
        top_p: Array,
        min_p: Array,
        repetition_penalty: Array,
        guidance: Array,
        min_new_tokens: Array,
        greedy: Array,
        stops: Array,
    ) -> None: ...

class Sampler:
    """Draws tokens as `realtts.accel.sampling.Sampler` does, over its tensors, without the model's own processors.

    Args:
        vocabulary: Number of logits.
        order: Names of processors, as of `realtts.accel.sampling.SamplingRecipe`.
        conditional: Guidance starts from conditional logits.
        suppressed: Ids that are never drawn.
        noise_ids: Column of the noise of each logit; None: the same.
        noise_width: Columns of the noise; None: as many as logits.
    """

    def __init__(
        self,
        vocabulary: int,
        order: Sequence[str],
        *,
        conditional: bool = True,
        suppressed: Sequence[int] = (),
        noise_ids: Sequence[int] | None = None,
        noise_width: int | None = None,
    ) -> None: ...
    def run(
        self,
        logits: Array,
        values: SamplingValues,
        step: Array,
        out: Array,
        *,
        noise: Array | None = None,
        seeds: Array | None = None,
        seen: Array | None = None,
        broken: Array | None = None,
        rows: Sequence[int] | None = None,
    ) -> None:
        """Draw a token of each row.

        Args:
            logits: float32 (n, vocabulary), with guidance (2 n, vocabulary), the conditional ones first.
            values: Of the n places.
            step: int64 (n,): tokens drawn so far.
            out: int64 (n,).
            noise: float32 (n, noise_width), exponential; None: hashed from the seeds.
            seeds: int64 (rows,) or (rows, 1), as `realtts.accel.sampling.HashedNoise` has them.
            seen: bool (rows, vocabulary + 1): tokens that the repetition penalty applies to.
            broken: bool (rows,): set where no score is finite.
            rows: Rows of ``seeds``, ``seen`` and ``broken`` that the places have; None: in order.

        Raises:
            ValueError: Something does not fit; nothing was drawn.
        """

class CodePredictor:
    """A small decoder that draws the codes of a frame one by one, each from those before it.

    It reads a state of the model beside it and the first code, and then its own codes. Each code has a head and a
    table of embeddings of its own.

    Args:
        decoder: Its layers; kept.
        heads: For each code behind the first, all (codes, hidden) and packed alike.
        sampler: Of as many logits as a head has outputs, without guidance, repetition penalty and noise_ids; kept.
        first: Table of the first code, float32, bfloat16 or float16 (any, width).
        others: Tables of the others, (heads, codes, width).
        projection: From the width of the tables to that of the decoder; None: they are equal.

    Raises:
        ValueError: Something does not fit.
    """

    def __init__(
        self,
        decoder: Step,
        heads: Sequence[Weight],
        sampler: Sampler,
        *,
        first: Array,
        others: Array,
        projection: Weight | None = None,
    ) -> None: ...
    def run(
        self,
        hidden: Array,
        cache: Cache,
        codes: Array,
        embedded: Array,
        values: SamplingValues,
        step: Array,
        *,
        noise: Array | None = None,
        broken: Array | None = None,
        rows: Sequence[int] | None = None,
        pool: Pool | None = None,
    ) -> None:
        """Draw a frame of some rows.

        All that happens is the same to the bit as with `Step.run`, `Weight.run` and `Sampler.run` in turn. Runs without
        the GIL.

        Args:
            hidden: float32 (n, width): the states that the first codes were drawn from.
            cache: Of the decoder, n rows with a slot for each code; emptied first.
            codes: int64 (n, heads + 1): the first ones are read, the others written.
            embedded: float32 (n, heads + 1, width), written: the embeddings of all codes.
            values: Of the n places.
            step: int64 (n,): frames before this one.
            noise: float32 (heads, n, codes), exponential; None: every row is greedy.
            broken: bool (rows,): set where no score is finite.
            rows: Rows of ``broken`` that the places have; None: in order.
            pool: Default: `Pool.default`.

        Raises:
            ValueError: Something does not fit; nothing was drawn.
        """
