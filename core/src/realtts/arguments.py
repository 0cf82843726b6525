"""Names by which the models' own packages call what realtts calls otherwise, so that an error can tell them.

Names that several packages share stand here; those of one model stand in its spec (``upstream_names``), where they may
also name one of its options.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

__all__ = ["REQUEST", "counterpart", "place_of"]

REQUEST = (
    "text",
    "texts",
    "voice",
    "reference_text",
    "language",
    "seed",
    "speed",
    "normalize",
    "check_words",
    "timestamps",
)
"""Arguments of `generate` and its kin that every provider takes."""

_BY_OURS = {
    "text": "gen_text input input_text sentence sentences target_text text_to_generate text_to_speak tts_text",
    "voice": "audio_prompt audio_prompt_path prompt_audio prompt_audio_path prompt_speech prompt_wav "
    "prompt_wav_path ref_audio ref_audio_path ref_codes ref_file ref_path ref_voice ref_wav "
    "reference reference_audio reference_audio_path reference_file reference_voice "
    "reference_wav speaker speaker_audio speaker_file speaker_id speaker_name speaker_wav spk "
    "spk_id target_voice target_voice_path voice_file voice_id voice_name voice_prompt "
    "voice_wav wav_path",
    "reference_text": "prompt_text prompt_transcript ref_text ref_texts ref_transcript reference_transcript "
    "speaker_text transcript transcription voice_text",
    "language": "lang lang_code lang_id language_code language_id locale",
    "seed": "manual_seed random_seed",
    "speed": "rate speaking_rate speech_rate speed_factor speed_rate",
    "normalize": "normalise normalize_text text_norm text_normalisation text_normalization use_text_norm",
    "model": "backbone_repo checkpoint checkpoint_dir checkpoint_path ckpt ckpt_dir ckpt_file "
    "ckpt_path model_dir model_id model_name model_path pretrained_model "
    "pretrained_model_name_or_path repo repo_id",
    "device": "backbone_device cuda device_map gpu use_cuda use_gpu",
    "dtype": "bf16 compute_dtype enable_bf16 enable_fp16 fp16 half precision torch_dtype use_bf16 "
    "use_fp16 use_half weight_dtype",
    "compile": "compilation compile_model enable_compilation enable_compile enable_torch_compile "
    "torch_compile use_compilation use_compile use_torch_compile",
    "cuda_graphs": "cuda_graph enable_cuda_graph enable_cuda_graphs use_cuda_graph use_cuda_graphs",
    "attention": "attention_implementation attn attn_backend attn_implementation enable_flash_attention "
    "flash_attention flash_attn use_flash_attention use_flash_attn",
    "cpu_offload": "enable_cpu_offload low_vram offload offload_to_cpu use_cpu_offload",
    "quantization": "enable_quantization load_in_4bit load_in_8bit quant quantize use_quantization",
    "optimize": "disable_optimization enable_optimization enable_optimizations optimized use_optimization "
    "use_optimized",
    "threads": "cpu_threads n_threads num_threads",
    "buffer_pool": "preallocate_buffers use_buffer_pool",
    "tf32": "allow_tf32 enable_tf32",
    "cudnn_benchmark": "enable_cudnn_benchmark",
    "matmul_precision": "float32_matmul_precision torch_matmul_precision",
    "data_dir": "cache_dir output_dir",
    "strict": "disable_fallback no_fallback",
    "request_timeout_s": "timeout timeout_s",
    "give it to Speech.save() or Speech.encode() as format= (--format on the command line)": "audio_format file_format "
    "format output_format response_format",
    "save what generate() returns: speech.save(PATH) (-o FILE on the command line)": "file file_name file_path "
    "filename out out_path output output_file output_path outfile save_path save_to",
    "call stream() in place of generate()": "stream streaming",
}
"""Ours, and what others call it; what is no name is an instruction."""

_OURS = {theirs: ours for ours, names in _BY_OURS.items() for theirs in names.split()}


def counterpart(name: str, specific: Mapping[str, str] | None = None) -> str | None:
    """Return what realtts calls an argument of an upstream package; None if nobody is known to call it so.

    Args:
        name: Theirs; case does not matter, nor ``-`` instead of ``_``.
        specific: Names of one model's package, with ours.
    """
    key = name.strip().strip("-").lower().replace("-", "_").replace(" ", "_")
    return (specific or {}).get(key) or _OURS.get(key)


def place_of(ours: str, settings: Collection[str], options: Collection[str] = ()) -> str:
    """Return where an argument of ours is given, as an instruction.

    Args:
        ours: Its name; what is no name is an instruction itself.
        settings: Names of the settings.
        options: Names of the provider's options.
    """
    if ours == "text":
        return "give the text as the first argument of generate() (TEXT on the command line)"
    if ours in options:
        return f"give it to generate() as {ours}= (-O {ours}=VALUE on the command line)"
    if ours in REQUEST:
        return f"give it to generate() as {ours}= (--{ours.replace('_', '-')} on the command line)"
    if ours in settings:
        return f"give it to RealProvider() as {ours}= (or REALTTS_{ours.upper()} in the environment)"
    return ours
