"""Random decoders of each family, and transformers as the reference beside each."""

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
_GPT2_SIZES = {"vocab_size": VOCABULARY, "n_embd": HIDDEN, "n_layer": 3, "n_head": 4, "n_positions": 1024}
FAMILIES = ("llama", "llama3-rope", "qwen2", "qwen3", "gpt2")


@dataclass
class Family:
    """A reference model of transformers and what a decoder is built from."""

    reference: object
    config: DecoderConfig
    state: dict
    embed: object
    head: object
    prefix: str = "model."
    places: object = None

    def decoder(self, **options) -> Decoder:
        """Our decoder with the reference's weights."""
        return Decoder.from_state_dict(self.config, self.state, prefix=self.prefix, **options)

    @property
    def body(self):
        """The reference without its head."""
        return self.reference.base_model

    def embedded(self, tokens, positions=None):
        """Embeddings of tokens, with the learned positions of a family that has them; default: counted from 0."""
        if self.places is None:
            return self.embed[tokens]
        return self.embed[tokens] + self.places[torch.arange(tokens.shape[-1]) if positions is None else positions]

    def next_embedding(self, tokens, _step, state):
        """For a loop."""
        return self.embedded(tokens, state["position"])


def build(name: str, seed: int = 0) -> Family:
    """A random model of a family; biases and norms are random too, so that each of them counts."""
    config = _configuration(name)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        reference = transformers.AutoModelForCausalLM.from_config(config).eval().float()
        for parameter, tensor in reference.named_parameters():
            if parameter.endswith("bias"):
                torch.nn.init.normal_(tensor, std=0.3)
            elif "norm" in parameter or ".ln_" in parameter:
                torch.nn.init.uniform_(tensor, 0.5, 1.5)
    body, prefix = reference.base_model, f"{reference.base_model_prefix}."
    places = getattr(body, "wpe", None)
    return Family(
        reference,
        DecoderConfig.from_transformers(config),
        body.state_dict(prefix=prefix),
        reference.get_input_embeddings().weight.detach(),
        reference.lm_head.weight.detach(),
        prefix,
        None if places is None else places.weight.detach(),
    )


def _configuration(name):
    if name == "gpt2":
        return transformers.GPT2Config(**_GPT2_SIZES, initializer_range=0.15, attn_implementation="eager")
    configs = {"llama": "LlamaConfig", "llama3-rope": "LlamaConfig", "qwen2": "Qwen2Config", "qwen3": "Qwen3Config"}
    extra = {"rope_parameters": dict(_LLAMA3)} if name == "llama3-rope" else {}
    extra |= {"head_dim": 24} if name == "qwen3" else {}
    return getattr(transformers, configs[name])(**_SIZES, **extra, attn_implementation="eager")
