"""Random graphs with the names, inputs and outputs of v3 Turbo's, for upstream's engine.

They are not upstream's architecture: a matrix over each position and the mean of those before it, so that seeds,
voices, lengths and the end have an effect. Upstream's graphs are published ready-made, and its package has no code that
exports them; its torch networks need code from the hub. So only the engine's own calls tell what goes in and out, and
the graphs are written here by hand. Needs the package ``onnx``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from realtts.kit.reading import NOTE
from realtts.testing.weights import write_json
from realtts_vieneu.configurations import TURBO
from realtts_vieneu.files import CODEC_FOLDERS, GRAPHS
from realtts_vieneu.upstream import module
from realtts_vieneu.vocabulary import write_vocabulary

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["write_turbo_checkpoint"]

_HIDDEN, _HEADS, _GROUPS, _CODES, _SPEAKER, _FRAME = 32, 4, 16, 1024, 192, 3840
_PAST = (1, _HEADS, "past", _HIDDEN // _HEADS)
_FLOAT, _INT, _LONG = 1, 6, 7  # onnx.TensorProto's numbers


def write_turbo_checkpoint(path: Path, seed: int, *, eos_bias: float) -> None:
    """Write a checkpoint, as of `realtts_vieneu.testing.write_random_checkpoint`."""
    draw = np.random.default_rng(seed)
    graphs, codec = path / GRAPHS, path / CODEC_FOLDERS[0]
    for folder in (graphs, codec):
        folder.mkdir(exist_ok=True)
    tokens, special = write_vocabulary(graphs)
    write_json(path / NOTE, {"configuration": TURBO})
    ids = _write_config(graphs, tokens, special)
    (graphs / "vieneu_backbone_shared.data").write_bytes(b"\0")  # upstream's weights lie in it, these beside the graphs
    _write_heads(graphs / "vieneu_v3_heads.npz", tokens, ids["speech_generation_end_token_id"], draw, eos_bias)
    _write_backbone(graphs, _matrix(draw))
    _write_acoustic(graphs / "vieneu_acoustic_cached.onnx", _matrix(draw))
    _write_codec(codec, draw)
    _save(
        path / "speaker_encoder.onnx", [_node("ReduceMean", ["input", "axes"], "mean", keepdims=0),
        _node("MatMul", ["mean", "weight"], "output")],
        inputs={"input": (_FLOAT, (1, "frames", 80))}, outputs={"output": (_FLOAT, (1, _SPEAKER))},
        constants={"axes": np.array([1]), "weight": _random(draw, 80, _SPEAKER)},
    )  # fmt: skip


def _write_config(path: Path, tokens: int, special: dict[str, int]) -> dict[str, int]:
    marks = {
        "text_prompt_start": "TEXT_PROMPT_START", "text_prompt_end": "TEXT_PROMPT_END",
        "speech_generation_start": "SPEECH_GENERATION_START", "speech_generation_end": "SPEECH_GENERATION_END",
        "audio_ref_slot": "SPEECH_REPLACE", "default_style": "emotion_7",
    }  # fmt: skip
    ids = {f"{name}_token_id": special[f"<|{mark}|>"] for name, mark in marks.items()}
    config = {
        "n_vq": _GROUPS, "hidden_size": _HIDDEN, "num_hidden_layers": 1, "local_num_hidden_layers": 1,
        "local_num_attention_heads": _HEADS, "audio_pad_token_id": _CODES, "text_vocab_size": tokens,
        "use_speaker_embedding": True, "speaker_embedding_dim": _SPEAKER, **ids,
    }  # fmt: skip
    write_json(path / "config.json", config)
    return ids


def _write_heads(path: Path, tokens: int, end: int, draw: np.random.Generator, eos_bias: float) -> None:
    """Write embeddings, which are the heads too; the first channel is a constant that only the end's row reads."""
    text, audio = _random(draw, tokens, _HIDDEN), draw.standard_normal((_GROUPS, _CODES, _HIDDEN), np.float32)
    text[:, 0] = audio[..., 0] = 0
    text[end, 0] = eos_bias
    np.savez(
        path, text_emb=text, audio_emb=audio / _HIDDEN**0.5, xvec_w=_random(draw, _HIDDEN, _SPEAKER),
        xvec_b=np.zeros(_HIDDEN, np.float32), xvec_ln_w=np.ones(_HIDDEN, np.float32),
        xvec_ln_b=np.zeros(_HIDDEN, np.float32), xvec_ln_eps=np.float32(1e-5),
    )  # fmt: skip


def _write_backbone(path: Path, weight: NDArray[np.float32]) -> None:
    """Write prompt and step: a position sees itself and the mean of all positions before it."""
    embeds, hidden = {"inputs_embeds": (_FLOAT, (1, "time", _HIDDEN))}, {"hidden": (_FLOAT, (1, "time", _HIDDEN))}
    caches: dict[str, Any] = {"present_k": (_FLOAT, (1, "all", _HIDDEN)), "present_v": (_FLOAT, (1, "all", _HIDDEN))}
    last = [
        _node("Identity", ["present_k"], "present_v"), _node("ReduceMean", ["present_k", "axes"], "mean", keepdims=1),
        _node("Add", ["inputs_embeds", "mean"], "sum"), _node("MatMul", ["sum", "weight"], "product"),
        _node("Tanh", ["product"], "hidden"),
    ]  # fmt: skip
    constants = {"axes": np.array([1]), "weight": weight}
    _save(
        path / "vieneu_prefill.onnx", [_node("Identity", ["inputs_embeds"], "present_k"), *last],
        inputs=embeds, outputs=hidden | caches, constants=constants,
    )  # fmt: skip
    past = {"past_k_0": (_FLOAT, (1, "past", _HIDDEN)), "past_v_0": (_FLOAT, (1, "past", _HIDDEN))}
    _save(
        path / "vieneu_decode_step.onnx",
        [_node("Concat", ["past_k_0", "inputs_embeds"], "present_k", axis=1), *last],
        inputs={**embeds, "position_ids": (_LONG, (1, "time")), **past},
        outputs=hidden | caches,
        constants=constants,
    )


def _write_acoustic(path: Path, weight: NDArray[np.float32]) -> None:
    """Write the decoder of a frame's codes: a code sees itself and the mean of those before it; channel 0 is 1."""
    one = np.zeros(_HIDDEN, np.float32)
    one[0] = 1
    nodes = [
        _node("Reshape", ["token_emb", "apart"], "heads"), _node("Transpose", ["heads"], "new", perm=[0, 2, 1, 3]),
        _node("Concat", ["past_k_0", "new"], "present_k", axis=2), _node("Identity", ["present_k"], "present_v"),
        _node("ReduceMean", ["present_k", "time"], "mean", keepdims=1), _node("Reshape", ["mean", "whole"], "before"),
        _node("Add", ["token_emb", "before"], "sum"), _node("MatMul", ["sum", "weight"], "product"),
        _node("Tanh", ["product"], "bent"), _node("Add", ["bent", "one"], "hidden"),
    ]  # fmt: skip
    cache = (1, _HEADS, "all", _HIDDEN // _HEADS)
    _save(
        path, nodes,
        inputs={"token_emb": (_FLOAT, (1, "n", _HIDDEN)), "position_ids": (_LONG, (1, "n")),
                "past_k_0": (_FLOAT, _PAST), "past_v_0": (_FLOAT, _PAST)},
        outputs={"hidden": (_FLOAT, (1, "n", _HIDDEN)), "present_k": (_FLOAT, cache), "present_v": (_FLOAT, cache)},
        constants={"weight": np.concatenate([np.zeros((_HIDDEN, 1), np.float32), weight[:, 1:]], 1), "one": one,
                   "apart": np.array([1, -1, _HEADS, _HIDDEN // _HEADS]), "time": np.array([2]),
                   "whole": np.array([1, 1, _HIDDEN])},
    )  # fmt: skip


def _write_codec(path: Path, draw: np.random.Generator) -> None:
    """Write decoder and encoder: a frame's codes choose its loudness, and a recording's loudness chooses its codes."""
    codes = {"audio_codes": (_INT, (1, "frames", _GROUPS)), "audio_code_lengths": (_INT, (1,))}
    nodes = [
        _node("Cast", ["audio_codes"], "values", to=_FLOAT),
        _node("ReduceMean", ["values", "last"], "level", keepdims=1), _node("Mul", ["level", "wave"], "framed"),
        _node("Reshape", ["framed", "flat"], "mono"), _node("Concat", ["mono", "mono"], "audio", axis=1),
        _node("Mul", ["audio_code_lengths", "size"], "audio_lengths"),
    ]  # fmt: skip
    wave = (draw.standard_normal(_FRAME) / (4 * _CODES)).astype(np.float32)
    constants = {"last": np.array([2]), "wave": wave[None, None], "flat": np.array([1, 1, -1]),
                 "size": np.array([_FRAME], np.int32)}  # fmt: skip
    outputs = {"audio": (_FLOAT, (1, 2, "samples")), "audio_lengths": (_INT, (1,))}
    for name in ("decode_full", "decode_step"):
        _save(path / f"moss_audio_tokenizer_{name}.onnx", nodes, inputs=codes, outputs=outputs, constants=constants)
    encode = [
        _node("ReduceMean", ["waveform", "channels"], "mono", keepdims=1),
        _node("Reshape", ["mono", "frames"], "framed"), _node("ReduceL2", ["framed", "last"], "level", keepdims=1),
        _node("Mul", ["level", "spread"], "wide"), _node("Mod", ["wide", "count"], "whole", fmod=1),
        _node("Cast", ["whole"], "audio_codes", to=_LONG),
    ]  # fmt: skip
    _save(
        path / "moss_audio_tokenizer_encode.onnx", encode,
        inputs={"waveform": (_FLOAT, (1, 2, "samples")), "input_lengths": (_INT, (1,))},
        outputs={"audio_codes": (_LONG, (1, "frames", _GROUPS))},
        constants={"channels": np.array([1]), "frames": np.array([1, -1, _FRAME]), "last": np.array([2]),
                   "spread": draw.uniform(1, 100, _GROUPS).astype(np.float32), "count": np.array([_CODES], np.float32)},
    )  # fmt: skip
    for name in ("decode_shared", "encode"):
        (path / f"moss_audio_tokenizer_{name}.data").write_bytes(b"\0")
    meta: dict[str, Any] = {"streaming_decode": {"transformer_offsets": [], "attention_caches": []}}
    write_json(path / "codec_browser_onnx_meta.json", meta)


def _random(draw: np.random.Generator, rows: int, columns: int) -> NDArray[np.float32]:
    values: NDArray[np.float32] = draw.standard_normal((rows, columns), np.float32) / np.float32(columns**0.5)
    return values


def _matrix(draw: np.random.Generator) -> NDArray[np.float32]:
    values: NDArray[np.float32] = 3 * _random(draw, _HIDDEN, _HIDDEN)
    return values


def _node(kind: str, inputs: Sequence[str], output: str, **attributes: Any) -> Any:
    return module("onnx").helper.make_node(kind, list(inputs), [output], **attributes)


def _save(
    path: Path, nodes: Sequence[Any], *, inputs: dict[str, Any], outputs: dict[str, Any], constants: dict[str, Any]
) -> None:
    onnx = module("onnx")
    about = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        list(nodes), path.stem,
        [about(name, kind, shape) for name, (kind, shape) in inputs.items()],
        [about(name, kind, shape) for name, (kind, shape) in outputs.items()],
        [onnx.numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )  # fmt: skip
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    onnx.save(model, path)
