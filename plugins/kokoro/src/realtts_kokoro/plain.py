"""The plain variant: each sentence at once, as kokoro-onnx does it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from realtts.contract.events import Event
from realtts.contract.hooks import hookimpl
from realtts.contract.types import Voice
from realtts.errors import VoiceUnsupported
from realtts_kokoro.files import find_files
from realtts_kokoro.network import Network
from realtts_kokoro.options import KokoroOptions
from realtts_kokoro.phonemizers import Phonemizers
from realtts_kokoro.speaking import Speaker
from realtts_kokoro.spoken import check_language, language_spoken
from realtts_kokoro.voices import Voices

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from realtts.contract.context import Context
    from realtts.contract.types import Chunk, Request, VoiceInfo

__all__ = ["Kokoro", "Plain", "load_kokoro"]

_WHO = "provider 'kokoro'"


@dataclass(frozen=True, eq=False)
class Kokoro:
    """The loaded model.

    Attributes:
        voices: Its voices.
        phonemizers: What reads its languages.
        network: Its graph.
    """

    voices: Voices
    phonemizers: Phonemizers
    network: Network


class Plain:
    """The hooks of the plain variant."""

    @hookimpl
    def load(self, context: Context) -> Kokoro:
        """Read and check the model's files, and open its graph.

        Raises:
            CheckpointError: A file is missing or damaged, or cannot be fetched.
            MissingExtra: ONNX Runtime, or what reads the language of the settings, is not installed.
        """
        return load_kokoro(context)

    @hookimpl
    def voices(self, context: Context, model: Kokoro) -> Sequence[VoiceInfo]:
        """Return the voices whose files are there."""
        return model.voices.infos()

    @hookimpl
    def generate(self, context: Context, model: Kokoro, request: Request) -> Iterator[Chunk]:
        """Speak, sentence by sentence, with the marks of the words.

        Raises:
            VoiceNotFound: No such voice, or none of that language.
            VoiceUnsupported: A recording to clone was given.
            MissingExtra: What reads the language is not installed.
            InvalidOption: That phonemizer does not read it, or the graph does not take this speed.
            UnspeakableText: Nothing of the text can be said.
        """
        if isinstance(request.voice, Voice):
            raise VoiceUnsupported(
                "it cannot clone a voice from a recording", who=_WHO,
                fix="give no voice, or choose a provider that clones",
            )  # fmt: skip
        voice = request.voice or model.voices.default(request.language)
        language = language_spoken(request.language, voice)
        options = KokoroOptions.of(request)
        phonemizer = model.phonemizers.of(language, options.phonemizer)
        styles = model.voices.styles(voice)
        speaker = Speaker(context, request, language, styles)
        yield from speaker.chunks(phonemizer, model.network, clauses=options.split == "clause")


def load_kokoro(context: Context) -> Kokoro:
    """Load the model. Raises as `Plain.load`."""
    check_language(context.settings.language)
    files = find_files(context.checkpoint, context.report)
    phonemizers = Phonemizers(context)
    network = Network(files.content(), context, name=files.name)
    details = {
        "device": "cpu" if network.execution_provider.startswith("CPU") else context.device,
        "execution_provider": network.execution_provider,
        "compile": False,
        "seeded": network.seeded,
        "marks": network.tells_lengths,
        "graph": files.name,
    }
    context.report(Event("optimization.details", data=details))
    return Kokoro(Voices(files.voices), phonemizers, network)
