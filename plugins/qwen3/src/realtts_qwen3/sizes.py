"""The sizes of a checkpoint's networks and the ids that steer them, read from its ``config.json``."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from realtts.kit.entries import MOST_LAYERS, check_supported, count, positive, reading_entries
from realtts.kit.reading import mismatch

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Backbone", "CodecSizes", "Ids", "Sizes", "SpeakerSizes", "read_codec_sizes", "read_sizes"]

GROUPS = 16
"""Codes of a frame."""

KINDS = ("base", "custom_voice", "voice_design")
"""Values of ``tts_model_type``."""

_MODEL, _CODEC = "qwen3_tts", "qwen3_tts_tokenizer_12hz"


@dataclass(frozen=True)
class Backbone:
    """A decoder of Qwen3's kind: pre-norm, grouped queries, norms on queries and keys, rotary positions, no biases.

    Attributes:
        layers: Number of layers.
        hidden: Width.
        intermediate: Width inside the MLP.
        heads: Attention heads.
        kv_heads: Heads of keys and values.
        head_dim: Width of a head.
        vocabulary: Tokens of its head.
        norm_eps: Epsilon of the RMS norms.
        rope_theta: Base of the rotary positions.
    """

    layers: int
    hidden: int
    intermediate: int
    heads: int
    kv_heads: int
    head_dim: int
    vocabulary: int
    norm_eps: float
    rope_theta: float


@dataclass(frozen=True)
class Ids:
    """The special tokens. Those of the codec follow the codes in the talker's vocabulary.

    Attributes:
        codec_bos: Token before the first frame.
        codec_eos: End of speech.
        codec_pad: Code beside a text token that has none.
        codec_think: Token before a language.
        codec_nothink: Token in place of a language.
        codec_think_bos: Begin of a language.
        codec_think_eos: End of a language.
        tts_bos: Begin of the text.
        tts_eos: End of the text.
        tts_pad: Text token beside a code that has none.
    """

    codec_bos: int
    codec_eos: int
    codec_pad: int
    codec_think: int
    codec_nothink: int
    codec_think_bos: int
    codec_think_eos: int
    tts_bos: int
    tts_eos: int
    tts_pad: int


@dataclass(frozen=True)
class SpeakerSizes:
    """The speaker encoder, an ECAPA-TDNN (Desplanques et al., 2020, arXiv:2005.07143).

    Attributes:
        mels: Bands of its mel spectrogram.
        width: Width of the embedding, which is the talker's.
        channels: Channels of the first layer, the blocks and their aggregation.
        kernels: Their kernel sizes.
        dilations: Their dilations.
        attention: Channels of the attentive pooling.
        scale: Groups of a Res2Net block.
        squeeze: Channels inside squeeze and excitation.
    """

    mels: int = 128
    width: int = 1024
    channels: tuple[int, ...] = (512, 512, 512, 512, 1536)
    kernels: tuple[int, ...] = (5, 3, 3, 3, 1)
    dilations: tuple[int, ...] = (1, 2, 3, 4, 1)
    attention: int = 128
    scale: int = 8
    squeeze: int = 128


@dataclass(frozen=True)
class Sizes:
    """A model, as ``config.json`` has it.

    Attributes:
        kind: ``"base"`` clones, ``"custom_voice"`` has speakers, ``"voice_design"`` takes a description of the voice.
        size: Upstream's name of the size: ``"0b6"`` or ``"1b7"``.
        talker: The network that draws the first code of each frame.
        predictor: The network that draws the other fifteen.
        groups: Codes of a frame, 16.
        text_hidden: Width of the text embedding, before its projection.
        text_vocabulary: Number of text tokens.
        ids: Special tokens.
        languages: Name -> id in the talker's vocabulary; dialects among them.
        speakers: Name in lower case -> id in the talker's vocabulary.
        dialects: Speaker -> name of the dialect that is spoken where the language is Chinese or not given.
        speaker_encoder: Sizes of the speaker encoder; None where the model cannot clone.
        config: The file's content.
    """

    kind: str
    size: str
    talker: Backbone
    predictor: Backbone
    groups: int
    text_hidden: int
    text_vocabulary: int
    ids: Ids
    languages: Mapping[str, int]
    speakers: Mapping[str, int]
    dialects: Mapping[str, str]
    speaker_encoder: SpeakerSizes | None
    config: Mapping[str, Any] = field(repr=False, compare=False)

    @property
    def follows_instructions(self) -> bool:
        """Whether ``instruct`` has an effect: upstream drops it in the small model with speakers."""
        return self.kind == "voice_design" or (self.kind == "custom_voice" and self.size != "0b6")


@dataclass(frozen=True)
class CodecSizes:
    """The codec, as ``speech_tokenizer/config.json`` has it.

    Attributes:
        decoder: ``decoder_config``.
        encoder: ``encoder_config``, a Mimi's (Défossez et al., 2024, arXiv:2410.00037).
        groups: Codes of a frame; the encoder has more, which are not used.
        samples_per_frame: 1920 at 24 kHz.
        sample_rate: Hz.
        config: The file's content.
    """

    decoder: Mapping[str, Any]
    encoder: Mapping[str, Any]
    groups: int
    samples_per_frame: int
    sample_rate: int
    config: Mapping[str, Any] = field(repr=False, compare=False)


def read_sizes(config: Mapping[str, Any], who: str = "file 'config.json'") -> Sizes:
    """Read ``config.json``.

    Args:
        config: Its content.
        who: The file, for messages.

    Raises:
        CheckpointMismatch: It is of another model, or an entry is missing or of a wrong type.
    """
    if config.get("model_type") != _MODEL:
        raise mismatch(f"model_type is {config.get('model_type')!r}, expected {_MODEL!r}", who)
    if config.get("tokenizer_type") != _CODEC:
        raise mismatch(f"tokenizer_type is {config.get('tokenizer_type')!r}, only {_CODEC!r} is supported", who)
    kind = config.get("tts_model_type")
    if kind not in KINDS:
        raise mismatch(f"tts_model_type is {kind!r}, expected one of {', '.join(KINDS)}", who)
    with reading_entries(who):
        return _sizes(config, str(kind))


def read_codec_sizes(config: Mapping[str, Any], who: str = "file 'speech_tokenizer/config.json'") -> CodecSizes:
    """Read ``speech_tokenizer/config.json``.

    Args:
        config: Its content.
        who: The file, for messages.

    Raises:
        CheckpointMismatch: It is of another codec, or an entry is missing or of a wrong type.
    """
    if config.get("model_type") != _CODEC:
        raise mismatch(f"model_type is {config.get('model_type')!r}, only {_CODEC!r} is supported", who)
    with reading_entries(who):
        for part in (config["decoder_config"], config["encoder_config"]):
            for name in ("num_quantizers", "num_hidden_layers"):
                count(part, name, most=MOST_LAYERS)
            for name in ("num_semantic_quantizers", "num_residual_layers"):
                count(part, name, 1, most=MOST_LAYERS)
        return CodecSizes(
            decoder=MappingProxyType(dict(config["decoder_config"])),
            encoder=MappingProxyType(dict(config["encoder_config"])),
            groups=count(config, "encoder_valid_num_quantizers"),
            samples_per_frame=count(config, "decode_upsample_rate"),
            sample_rate=count(config, "output_sample_rate"),
            config=MappingProxyType(dict(config)),
        )


def _sizes(config: Mapping[str, Any], kind: str) -> Sizes:
    talker = config["talker_config"]
    if count(talker, "num_code_groups") != GROUPS:
        raise ValueError(f"num_code_groups is {talker['num_code_groups']}, expected {GROUPS}")
    dialects = {name.lower(): dialect for name, dialect in (talker.get("spk_is_dialect") or {}).items() if dialect}
    return Sizes(
        kind=kind,
        size=str(config["tts_model_size"]),
        talker=_backbone(talker),
        predictor=_backbone(talker["code_predictor_config"]),
        groups=GROUPS,
        text_hidden=count(talker, "text_hidden_size"),
        text_vocabulary=count(talker, "text_vocab_size"),
        ids=_ids(config),
        languages=_named(talker, "codec_language_id"),
        speakers=_named(talker, "spk_id"),
        dialects=MappingProxyType(dialects),
        speaker_encoder=_speaker(config.get("speaker_encoder_config") or {}) if kind == "base" else None,
        config=MappingProxyType(dict(config)),
    )


def _backbone(config: Mapping[str, Any]) -> Backbone:
    check_supported(config, {"hidden_act": "silu", "attention_bias": False, "use_sliding_window": False})
    return Backbone(
        layers=count(config, "num_hidden_layers", most=MOST_LAYERS),
        hidden=count(config, "hidden_size"),
        intermediate=count(config, "intermediate_size"),
        heads=count(config, "num_attention_heads"),
        kv_heads=count(config, "num_key_value_heads"),
        head_dim=count(config, "head_dim"),
        vocabulary=count(config, "vocab_size"),
        norm_eps=positive(config, "rms_norm_eps"),
        rope_theta=positive(config, "rope_theta"),
    )


def _ids(config: Mapping[str, Any]) -> Ids:
    talker = config["talker_config"]
    most, most_text = count(talker, "vocab_size") - 1, count(talker, "text_vocab_size") - 1
    codec = {
        f"codec_{name}": count(talker, f"codec_{name}_id", least=0, most=most)
        for name in ("bos", "pad", "think", "nothink", "think_bos", "think_eos")
    }
    text = {
        f"tts_{name}": count(config, f"tts_{name}_token_id", least=0, most=most_text) for name in ("bos", "eos", "pad")
    }
    return Ids(codec_eos=count(talker, "codec_eos_token_id", least=0, most=most), **codec, **text)


def _speaker(config: Mapping[str, Any]) -> SpeakerSizes:
    default = SpeakerSizes()
    return SpeakerSizes(
        mels=count(config, "mel_dim", default.mels),
        width=count(config, "enc_dim", default.width),
        channels=tuple(config.get("enc_channels", default.channels)),
        kernels=tuple(config.get("enc_kernel_sizes", default.kernels)),
        dilations=tuple(config.get("enc_dilations", default.dilations)),
        attention=count(config, "enc_attention_channels", default.attention),
        scale=count(config, "enc_res2net_scale", default.scale),
        squeeze=count(config, "enc_se_channels", default.squeeze),
    )


def _named(talker: Mapping[str, Any], entry: str) -> Mapping[str, int]:
    table, most = talker.get(entry) or {}, count(talker, "vocab_size") - 1
    return MappingProxyType({str(name).lower(): count(table, name, least=0, most=most) for name in table})
