"""Where the weights would lie."""

PREPACKAGED_MODELS_DIR = "."
