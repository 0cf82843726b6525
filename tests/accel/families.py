"""Random decoders of the three families, and transformers as the reference beside each."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from realtts.accel.decoder import Decoder, DecoderConfig  # noqa: E402

HIDDEN, VOCABULARY = 64, 97
_SIZES = {
    "vocab_size": VOCABULARY,
    "hidden_size": HIDDEN,
    "intermediate_size": 160,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 1024,
    "initializer_range": 0.15,
}
_LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 10000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}
FAMILIES = ("llama", "llama3-rope", "qwen2", "qwen3")


@dataclass
class Family:
    """A reference model of transformers and what a decoder is built from."""

    reference: object
    config: DecoderConfig
    state: dict
    embed: object
    head: object

    def decoder(self, **options) -> Decoder:
        """Our decoder with the reference's weights."""
        return Decoder.from_state_dict(self.config, self.state, prefix="model.", **options)


def build(name: str, seed: int = 0) -> Family:
    """A random model of a family; biases and norms are random too, so that each of them counts."""
    configs = {"llama": "LlamaConfig", "llama3-rope": "LlamaConfig", "qwen2": "Qwen2Config", "qwen3": "Qwen3Config"}
    extra = {"rope_parameters": dict(_LLAMA3)} if name == "llama3-rope" else {}
    extra |= {"head_dim": 24} if name == "qwen3" else {}
    config = getattr(transformers, configs[name])(**_SIZES, **extra, attn_implementation="eager")
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        reference = transformers.AutoModelForCausalLM.from_config(config).eval().float()
        for parameter, tensor in reference.named_parameters():
            if parameter.endswith("bias"):
                torch.nn.init.normal_(tensor, std=0.3)
            elif "norm" in parameter:
                torch.nn.init.uniform_(tensor, 0.5, 1.5)
    return Family(
        reference,
        DecoderConfig.from_transformers(config),
        reference.model.state_dict(prefix="model."),
        reference.model.embed_tokens.weight.detach(),
        reference.lm_head.weight.detach(),
    )
