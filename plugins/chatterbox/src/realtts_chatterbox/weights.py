"""The files of a model, and a checkpoint whose tensors can be read: what `realtts_chatterbox.loading` makes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from realtts.accel.weights.tensorfile import read_state

if TYPE_CHECKING:
    from pathlib import Path

    from realtts.accel.weights.tensorfile import State
    from realtts.checkpoints import Files
    from realtts_chatterbox.conditionals import Conditionals
    from realtts_chatterbox.configurations import Configuration
    from realtts_chatterbox.sizes import S3GenSizes, T3Sizes
    from realtts_chatterbox.text import TextReader

__all__ = ["ModelFiles", "Weights"]


@dataclass(frozen=True)
class ModelFiles:
    """The files of a model.

    Attributes:
        configuration: Which model they belong to.
        files: The checkpoint's files by name.
    """

    configuration: Configuration
    files: Files


@dataclass(frozen=True)
class Weights:
    """An opened checkpoint. Tensors stay in the files until a network reads them.

    Attributes:
        configuration: Which model it is.
        t3_sizes: Sizes of T3.
        s3gen_sizes: Sizes of S3Gen.
        t3_file: Tensors of T3.
        s3gen_file: Tensors of the flow, vocoder, speech tokenizer and speaker encoder.
        voice_file: Tensors of the speaker encoder for T3.
        reader: Text to ids.
        builtin: The built-in voice, if the checkpoint has one.
        identity: A hash of the files of the networks that read voices: part of the key of every cached voice.
    """

    configuration: Configuration
    t3_sizes: T3Sizes
    s3gen_sizes: S3GenSizes
    t3_file: Path
    s3gen_file: Path
    voice_file: Path
    reader: TextReader
    builtin: Conditionals | None
    identity: str

    @property
    def t3_state(self) -> State:
        """T3's tensors by name, each read when it is asked for."""
        return read_state(self.t3_file)

    @property
    def s3gen_state(self) -> State:
        """S3Gen's tensors by name, each read when it is asked for.

        The file is opened at every call: pages of a mapped ``.pt`` file count as resident memory until it is closed.
        """
        return read_state(self.s3gen_file)
