"""llama.cpp as a peer: built for this machine, over random models of our decoders' shapes."""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["SHAPES", "SOURCE", "Shape", "build", "seconds_per_step", "write_model"]

SOURCE = "llama-cpp-python==0.3.36"
"""The source distribution whose folder ``vendor/llama.cpp`` (0.5.0) is built: one archive, its version pinned."""

_FLAGS = (
    "-DCMAKE_BUILD_TYPE=Release", "-DGGML_NATIVE=ON", "-DGGML_LTO=ON", "-DGGML_CUDA=OFF", "-DLLAMA_CURL=OFF",
    "-DLLAMA_BUILD_TESTS=OFF", "-DLLAMA_BUILD_EXAMPLES=OFF", "-DLLAMA_BUILD_SERVER=OFF", "-DBUILD_SHARED_LIBS=OFF",
)  # fmt: skip
_PROGRAM = "llama-batched-bench"


@dataclass(frozen=True)
class Shape:
    """The shape of a decoder and its head."""

    architecture: str
    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    mlp: int
    vocabulary: int


SHAPES = {
    "t3": Shape("llama", 30, 1024, 16, 16, 64, 4096, 8194),
    "vieneu": Shape("qwen2", 24, 896, 14, 2, 64, 4864, 65537),
    "talker": Shape("qwen3", 28, 1024, 16, 8, 128, 3072, 3072),
    "predictor": Shape("qwen3", 5, 1024, 16, 8, 128, 3072, 2048),
}
"""As of Chatterbox, VieNeu 0.5B with its head of speech, and Qwen3-TTS 0.6B, a frame of which is one step of the talker
and sixteen of the predictor."""


def build(folder: Path, source: Path | None, jobs: int) -> Path:
    """Build the program, unless the folder has it; returns its path.

    Args:
        folder: Where source and build go.
        source: A checkout of llama.cpp; None: the pinned archive, fetched by pip.
        jobs: Compilers at a time.
    """
    program = folder / "build" / "bin" / _PROGRAM
    if program.is_file():
        return program
    folder.mkdir(parents=True, exist_ok=True)
    if source is None:
        pip = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--quiet",
            "--no-deps",
            "--no-binary",
            "llama-cpp-python",
            SOURCE,
        ]
        subprocess.run([*pip, "--dest", str(folder)], check=True)  # noqa: S603 - programs that this script names
        (archive,) = folder.glob("llama_cpp_python-*.tar.gz")
        with tarfile.open(archive) as content:
            content.extractall(folder, filter="data")
        (source,) = folder.glob("llama_cpp_python-*/vendor/llama.cpp")
    made = str(folder / "build")
    subprocess.run(["cmake", "-S", str(source), "-B", made, *_FLAGS], check=True, stdout=subprocess.DEVNULL)  # noqa: S603, S607 - programs that this script names
    subprocess.run(["cmake", "--build", made, "--target", _PROGRAM, "-j", str(jobs)], check=True)  # noqa: S603, S607 - programs that this script names
    return program


def write_model(shape: Shape, kind: str, path: Path) -> None:
    """Write a random model in GGUF, unless it is there.

    Args:
        shape: Its shape.
        kind: ``"Q8_0"`` or ``"Q4_0"``; norms are float32, and the embedding is of the kind too.
        path: The file.
    """
    import gguf

    if path.is_file():
        return
    draw, quant = np.random.default_rng(0), gguf.GGMLQuantizationType[kind]
    part = path.with_suffix(".part")
    writer = gguf.GGUFWriter(part, shape.architecture)
    writer.add_context_length(8192)
    writer.add_embedding_length(shape.hidden)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.mlp)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_key_length(shape.head_dim)
    writer.add_value_length(shape.head_dim)
    writer.add_rope_dimension_count(shape.head_dim)
    writer.add_rope_freq_base(500_000.0)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_file_type(gguf.LlamaFileType[f"MOSTLY_{kind}"])
    writer.add_vocab_size(shape.vocabulary)
    writer.add_tokenizer_model("none")

    def matrix(name: str, outputs: int, inputs: int) -> None:
        values = draw.standard_normal((outputs, inputs), dtype=np.float32) * np.float32(0.03)
        writer.add_tensor(name, gguf.quants.quantize(values, quant), raw_dtype=quant)

    def ones(name: str, width: int) -> None:
        writer.add_tensor(name, np.ones(width, np.float32))

    matrix("token_embd.weight", shape.vocabulary, shape.hidden)
    matrix("output.weight", shape.vocabulary, shape.hidden)
    ones("output_norm.weight", shape.hidden)
    attended, keys = shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim
    for index in range(shape.layers):
        layer = f"blk.{index}."
        ones(f"{layer}attn_norm.weight", shape.hidden)
        ones(f"{layer}ffn_norm.weight", shape.hidden)
        for name, outputs in (("attn_q", attended), ("attn_k", keys), ("attn_v", keys)):
            matrix(f"{layer}{name}.weight", outputs, shape.hidden)
            if shape.architecture == "qwen2":
                writer.add_tensor(f"{layer}{name}.bias", np.zeros(outputs, np.float32))
        if shape.architecture == "qwen3":
            ones(f"{layer}attn_q_norm.weight", shape.head_dim)
            ones(f"{layer}attn_k_norm.weight", shape.head_dim)
        matrix(f"{layer}attn_output.weight", shape.hidden, attended)
        matrix(f"{layer}ffn_gate.weight", shape.mlp, shape.hidden)
        matrix(f"{layer}ffn_up.weight", shape.mlp, shape.hidden)
        matrix(f"{layer}ffn_down.weight", shape.hidden, shape.mlp)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    part.replace(path)


def seconds_per_step(
    program: Path, model: Path, rows: Sequence[int], *, positions: int, steps: int, threads: int
) -> dict[int, float]:
    """Time steps of each number of rows, each behind a prompt of its own; keys and values in float16.

    Args:
        program: From `build`.
        model: From `write_model`.
        rows: Numbers of rows.
        positions: Of each prompt.
        steps: Of each run.
        threads: Of the program.
    """
    context = max(rows) * (positions + steps)
    done = subprocess.run(  # noqa: S603 - programs that this script names
        [
            str(program), "--model", str(model), "--ctx-size", str(context), "--threads", str(threads),
            "-npp", str(positions), "-ntg", str(steps), "-npl", ",".join(map(str, rows)),
            "--output-format", "jsonl", "--flash-attn", "on",
        ],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return {int(line["pl"]): float(line["t_tg"]) / steps for line in lines}
