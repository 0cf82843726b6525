"""``realtts voices``: named reference recordings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from realtts.cli import console
from realtts.cli.parsing import add_command, add_model, commands_of

if TYPE_CHECKING:
    import argparse

    from realtts.voices.store import SavedVoice, VoiceStore

__all__ = ["add_parser"]


def add_parser(commands: Any) -> None:
    """Add ``realtts voices`` with its own commands."""
    group = add_command(
        commands,
        "voices",
        None,
        """Add, list and remove named reference voices.

        A saved voice is used by its name: realtts say "Hello." --voice anna -o hello.wav

        Examples:

            realtts voices add anna anna.wav --text "The words that Anna says."
            realtts voices list
            realtts voices list --provider espeak
            realtts voices remove anna
        """,
    )
    subcommands = commands_of(group)
    _add_add(subcommands)
    _add_list(subcommands)
    _add_remove(subcommands)


def _add_add(commands: Any) -> None:
    parser = add_command(
        commands,
        "add",
        _add,
        """Save a recording under a name.

        It is checked first: length, silence, clipping, sample rate.

        Examples:

            realtts voices add anna anna.wav
            realtts voices add anna better.flac --text-file words.txt --overwrite
        """,
    )
    parser.add_argument("name", metavar="NAME", help="what to call it")
    parser.add_argument("file", metavar="FILE", type=Path, help="a recording of 0.5 to 120 s")
    parser.add_argument("--text", help="the words spoken in it; some providers need them")
    parser.add_argument("--text-file", type=Path, metavar="FILE", help="a text file (UTF-8) with these words")
    parser.add_argument("--overwrite", action="store_true", help="replace a voice of that name")


def _add_list(commands: Any) -> None:
    parser = add_command(
        commands,
        "list",
        _list,
        """List the saved voices, or all that a provider can use.

        With --provider its built-in voices are listed too, for which it is loaded.

        Examples:

            realtts voices list
            realtts voices list --provider espeak --json
        """,
    )
    parser.add_argument("-p", "--provider", metavar="NAME", help="list every voice that this provider can use")
    add_model(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")


def _add_remove(commands: Any) -> None:
    parser = add_command(
        commands,
        "remove",
        _remove,
        """Remove saved voices.

        Examples:

            realtts voices remove anna
        """,
    )
    parser.add_argument("names", nargs="+", metavar="NAME", help="which ones")


def _add(arguments: argparse.Namespace) -> None:
    words = _words(arguments.text, arguments.text_file)
    saved = _store().add(arguments.name, arguments.file, text=words, overwrite=arguments.overwrite)
    remark = "" if saved.text else "; without its words (--text), which some providers need"
    console.out(f"saved {saved.name!r}: {saved.duration:.2f} s at {saved.sample_rate} Hz{remark}")


def _list(arguments: argparse.Namespace) -> None:
    provider = arguments.provider
    rows = _saved() if provider is None else _of_provider(arguments)
    if arguments.json:
        console.out_json(rows)
    elif not rows:
        none_saved = "No voice is saved. Save one: realtts voices add NAME FILE"
        console.out(none_saved if provider is None else "It has one voice only.")
    elif provider is None:
        console.table(("name", "seconds", "Hz", "words"), [_saved_row(row) for row in rows])
    else:
        columns = ("id", "name", "language", "gender", "description")
        console.table(columns, [[row[column] for column in columns] for row in rows])


def _remove(arguments: argparse.Namespace) -> None:
    store = _store()
    for name in arguments.names:
        store.remove(name)
        console.out(f"removed {name!r}")


def _store() -> VoiceStore:
    from realtts.settings_sources import data_dir, resolve_settings
    from realtts.voices import VoiceStore

    return VoiceStore(data_dir(resolve_settings().settings) / "voices")


def _words(text: str | None, file: Path | None) -> str | None:
    from realtts.errors import InvalidOption, InvalidText

    if file is None:
        return text
    if text is not None:
        raise InvalidOption("--text and --text-file are both given", who="realtts voices add", fix="give one of them")
    try:
        return file.read_text(encoding="utf-8-sig").strip()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InvalidText(f"it cannot be read: {reason}", who=str(file), fix="give a text file in UTF-8") from None


def _saved() -> list[dict[str, Any]]:
    return [_described(saved) for saved in _store().list()]


def _described(saved: SavedVoice) -> dict[str, Any]:
    return {
        "name": saved.name,
        "duration": round(saved.duration, 3),
        "sample_rate": saved.sample_rate,
        "text": saved.text,
        "digest": saved.digest,
        "created": saved.created,
        "folder": str(saved.folder),
        "broken": saved.fault,
    }


def _saved_row(row: dict[str, Any]) -> list[str]:
    if row["broken"]:
        return [row["name"], "-", "-", f"BROKEN: {row['broken']}"]
    return [row["name"], f"{row['duration']:.2f}", str(row["sample_rate"]), console.one_line(row["text"] or "-")]


def _of_provider(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    from dataclasses import asdict

    from realtts import RealProvider
    from realtts.cli.loading import Loading

    tts = RealProvider(arguments.provider, model=arguments.model, configuration=arguments.configuration)
    with tts, Loading(tts):
        return [asdict(voice) for voice in tts.voices()]
