"""The plain variant: each sentence at once, as piper-tts does it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from realtts.contract.events import Event
from realtts.contract.hooks import hookimpl
from realtts.contract.types import Voice
from realtts.errors import UnknownLanguage, VoiceUnsupported
from realtts.kit.graph_files import read_graph
from realtts.kit.languages import resolve_language
from realtts_piper.files import VoiceFiles, find_files
from realtts_piper.network import Network
from realtts_piper.phrases import Phrases
from realtts_piper.speaking import Speaker
from realtts_piper.voice import UNTOLD, PiperVoice, read_voice

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from realtts.contract.context import Context
    from realtts.contract.types import Chunk, Request, VoiceInfo

__all__ = ["Piper", "Plain", "load_piper"]

_WHO = "provider 'piper'"


@dataclass(frozen=True, eq=False)
class Piper:
    """The loaded model.

    Attributes:
        files: Where it lies.
        licence: What its model card says of its licence.
        voice: Its configuration.
        phrases: Its reading of text.
        network: Its graph.
    """

    files: VoiceFiles
    licence: str
    voice: PiperVoice
    phrases: Phrases
    network: Network


class Plain:
    """The hooks of the plain variant."""

    @hookimpl
    def load(self, context: Context) -> Piper:
        """Read and check the voice's files, and open its graph.

        Raises:
            CheckpointError: A file is missing or damaged, or cannot be fetched.
            BrokenProvider: piper-tts is missing or damaged.
            MissingExtra: ONNX Runtime, or what the voice's language needs, is not installed.
        """
        return load_piper(context, windows=False)

    @hookimpl
    def voices(self, context: Context, model: Piper) -> Sequence[VoiceInfo]:
        """Return the speakers; other voices are models of their own."""
        return model.voice.infos(model.files.name, model.licence)

    @hookimpl
    def generate(self, context: Context, model: Piper, request: Request) -> Iterator[Chunk]:
        """Speak, sentence by sentence, with the marks of the words; equal seeds give equal samples.

        Raises:
            VoiceNotFound: No such speaker.
            VoiceUnsupported: A recording to clone was given.
            UnknownLanguage: It is not the voice's.
            UnspeakableText: Nothing of the text can be said.
        """
        if isinstance(request.voice, Voice):
            raise VoiceUnsupported(
                "it cannot clone a voice from a recording", who=_WHO,
                fix="give no voice, or choose a provider that clones",
            )  # fmt: skip
        speaker = model.voice.speaker(request.voice, model.files.name)
        _check_language(request.language, model.voice.tags)
        yield from Speaker(context, request, model.voice, speaker).chunks(model.phrases, model.network)


def load_piper(context: Context, *, windows: bool) -> Piper:
    """Load a voice.

    Args:
        context: Of `load`.
        windows: Whether the vocoder runs window by window.

    Raises:
        CheckpointError, BrokenProvider, MissingExtra: As `Plain.load`.
    """
    files = find_files(context.checkpoint, context.report)
    voice = read_voice(files)
    phrases = Phrases(voice)
    network = Network(read_graph(files.graph, _WHO), voice, context, name=files.graph.name, windows=windows)
    licence = files.licence() or (context.checkpoint.licence if context.checkpoint is not None else "")
    _report(context, network, licence or "not stated", files.package)
    return Piper(files, licence, voice, phrases, network)


def _report(context: Context, network: Network, licence: str, package: str) -> None:
    """Tell what was done, for the status."""
    on_cpu = network.execution_provider.startswith("CPU")
    details = {
        "device": "cpu" if on_cpu else context.device,
        "execution_provider": network.execution_provider,
        "compile": False,
        "windows": network.windowed,
        "seeded": network.seeded,
        "voice_licence": licence,
        "package": package,
    }
    context.report(Event("optimization.details", data=details))


def _check_language(language: str | None, tags: Sequence[str]) -> None:
    if language is None or tags == (UNTOLD,) or resolve_language(language, tags) is not None:
        return
    raise UnknownLanguage(
        f"this voice speaks {tags[0]}, not {language!r}", who=_WHO,
        fix="give no language, or load a voice that speaks it: model='de_DE-thorsten-medium' is one for German",
    )  # fmt: skip
