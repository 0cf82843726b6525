"""The one variant of hibari: phonemes, the graph of a voice, and a vocoder of numpy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from realtts.contract.hooks import hookimpl
from realtts.contract.types import Voice
from realtts.errors import VoiceNotFound, VoiceUnsupported
from realtts.kit.english import Pronunciation, check_digest, read_asset
from realtts.kit.graph_files import read_graph
from realtts_hibari.catalogue import VOICES, HibariVoice, voice_of
from realtts_hibari.network import Network
from realtts_hibari.phrases import Phrases
from realtts_hibari.reading import read
from realtts_hibari.speaking import Speaker

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from realtts.contract.context import Context
    from realtts.contract.types import Chunk, Request, VoiceInfo

__all__ = ["Hibari", "Plain"]

_WHO = "provider 'hibari'"


@dataclass(frozen=True, eq=False)
class Hibari:
    """The loaded model.

    Attributes:
        voice: Whose it is.
        network: Its graph.
        phrases: Its reading of text.
    """

    voice: HibariVoice
    network: Network
    phrases: Phrases


class Plain:
    """The hooks of the plain variant."""

    @hookimpl
    def load(self, context: Context) -> Hibari:
        """Read and check every file, and open the graphs.

        Raises:
            CheckpointError: The package hibari-tts or a file is missing or damaged, or cannot be fetched.
            MissingExtra: ONNX Runtime is not installed.
        """
        voice, content = _voice_and_content(context)
        network = Network(content, context, name=voice.file)
        return Hibari(voice, network, Phrases(Pronunciation(context, british=voice.british)))

    @hookimpl
    def voices(self, context: Context, model: Hibari) -> Sequence[VoiceInfo]:
        """Return the one voice: the others are models of their own."""
        return [model.voice.info()]

    @hookimpl
    def generate(self, context: Context, model: Hibari, request: Request) -> Iterator[Chunk]:
        """Speak, sentence by sentence, with the marks of the words; equal seeds give equal samples.

        Raises:
            VoiceNotFound: It is the voice of another model, or of none.
            VoiceUnsupported: A recording to clone was given.
            UnspeakableText: Nothing of the text can be said.
        """
        _check_voice(request, model.voice)
        yield from Speaker(context, request, read(request.text)).chunks(model.phrases, model.network)


def _voice_and_content(context: Context) -> tuple[HibariVoice, bytes]:
    checkpoint, voice = context.checkpoint, voice_of(context.checkpoint)
    if voice is not None and voice.bundled and (checkpoint is None or checkpoint.path is None):
        return voice, read_asset(voice.file, "hibari")
    from realtts.checkpoints import fetch

    wanted = [voice] if voice is not None else list(VOICES)
    names = {name: each for each in wanted for name in (each.file, each.file.rpartition("/")[2])}
    files = fetch(checkpoint, [tuple(names)], report=context.report)
    name, path = next(iter(files.items()))
    content = read_graph(path, _WHO)
    again = "remove the file and load again; if it stays so, a newer realtts-hibari may know what the hub has now"
    check_digest(content, names[name].digest, path, "hibari", fix=again)
    return names[name], content


def _check_voice(request: Request, voice: HibariVoice) -> None:
    if isinstance(request.voice, Voice):
        raise VoiceUnsupported(
            "it cannot clone a voice from a recording", who=_WHO, fix="give no voice, or choose a provider that clones"
        )
    if request.voice is None or request.voice.lower() in {voice.id, voice.kokoro}:
        return
    others = ", ".join(f"model={each.id!r}" for each in VOICES if each != voice)
    raise VoiceNotFound(
        f"no voice {request.voice!r}: this model is {voice.id!r}", who=_WHO, fix=f"give no voice, or load {others}"
    )
