"""A stand-in: qwen-tts imports sox for a codec that is not used here."""


class Transformer:
    """Transforms nothing."""
