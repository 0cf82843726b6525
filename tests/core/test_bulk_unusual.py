"""Jobs of unusual tables, books and folders: what programs of others write, and what a kill or a full disk leaves."""

import contextlib
import errno
import hashlib
import json
import os
import re
import sys
import threading
import zipfile

import numpy as np
import pytest

from realtts import errors
from realtts.audio import write
from realtts.bulk import BadRow, BulkJob, Defaults, SpeechRow, make_row, read_chapters, read_rows, run_job
from realtts.bulk.audiobook import can_write, chapters_of, write_audiobook
from realtts.bulk.job import open_folder
from realtts.bulk.speaking import _UNHEARD, fingerprint, saved_digests
from realtts.provider.facade import RealProvider
from realtts.settings import Settings
from realtts.testing import fake_spec
from realtts.voices import VoiceStore


def lines(*rows):
    """Rows as JSON lines."""
    return "".join(json.dumps(row) + "\n" for row in rows)


def entries(folder):
    """The manifest."""
    return [json.loads(line) for line in (folder / "manifest.jsonl").read_text().splitlines()]


def names(folder):
    """Files of a job."""
    return {path.name for path in folder.iterdir()} - {"job.json", "log.jsonl", "manifest.jsonl"}


def speak(source, folder, **changes):
    """Run a job of espeak."""
    return run_job(BulkJob(source, folder, **{"provider": "espeak", "seed": 7, **changes}))


@pytest.fixture
def table(tmp_path):
    """Writes a table of these rows; returns its path."""

    def table(*rows, name="texts.jsonl"):
        (tmp_path / name).write_text(lines(*rows))
        return tmp_path / name

    return table


# -- tables ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", "id;text;speed\nx;Hello, you.;1.5\n"),
        ("a.csv", "id\ttext\tspeed\nx\tHello, you.\t1.5\n"),
        ("a.csv", "id|text|speed\r\nx|Hello, you.|1.5\r\n"),
        ("a.tsv", "id,text,speed\nx,\"Hello, you.\",1.5\n"),
        ("a.csv", "\ufeffsep=;\r\nid;text;speed\r\nx;Hello, you.;1.5\r\n"),
        ("a.csv", "sep=^\nid^text^speed\nx^Hello, you.^1.5\n"),
        ("a.csv", "\n\n id , text , speed \nx,\"Hello, you.\",1.5\n\n"),
        ("a.csv", "id,text,speed,,\nx,\"Hello, you.\",1.5,,\n"),
        ("a.csv", ",id,text,speed\n0,x,\"Hello, you.\",1.5\n"),
        ("a.csv", "\"id\";\"text\";\"speed\"\r\"x\";\"Hello, you.\";\"1.5\"\r"),
    ],
)  # fmt: skip
def test_dialects_of_csv(tmp_path, name, content):
    """Separators and line ends as spreadsheets write them, empty columns, a first line that names the separator."""
    (tmp_path / name).write_bytes(content.encode())
    assert list(read_rows(tmp_path / name)) == [SpeechRow(1, "x", "Hello, you.", speed=1.5)]


@pytest.mark.parametrize("content", ["text\nHello, you.\n", "id,text\nx,Hello, you.\n", 'text\n"Hello\n'])
def test_cells_that_are_not_quoted(tmp_path, content):
    """A text that holds the separator is a fault of its row, and says so; it is not spoken in part."""
    (tmp_path / "a.csv").write_text(content)
    (row,) = read_rows(tmp_path / "a.csv")
    assert isinstance(row, BadRow)
    assert "quote cells" in str(row.error)


@pytest.mark.parametrize(
    "extra",
    [
        {"deep": json.loads("[" * 60 + "]" * 60)},
        {"number": 10**299},
        {"note\u2028x": "line\u2028break\x85\x1e"},
        {"a": {"b": {"c": [1, 2.5, None, True, "x" * 1000]}}},
        {"😀": "\x7f\x01"},
    ],
    ids=["deep", "long number", "separators", "tree", "signs"],
)
def test_what_is_carried_can_be_read_back(table, tmp_path, extra):
    """A manifest that the job itself cannot read would have every row spoken again."""
    source = table({"text": "One.", **extra})
    speak(source, tmp_path / "out")
    assert speak(source, tmp_path / "out", resume=True).earlier == 1


@pytest.mark.parametrize("name", ["seed", "text", "priority", "voice", "self", "voice_path", "timestamps"])
@pytest.mark.parametrize("form", ["options", "column"])
def test_arguments_are_no_options(table, tmp_path, name, form):
    """They would be given twice, and end the whole job: an error of the row, which names where they belong."""
    bad = {"options": {name: "x"}} if form == "options" else {f"options.{name}": "x"}
    summary = speak(table({"text": "One.", **bad}, {"text": "Two."}), tmp_path / "out")
    assert (summary.spoken, summary.failed) == (1, 1)
    assert (entries(tmp_path / "out")[0]["error"], name in entries(tmp_path / "out")[0]["message"]) == (
        "InvalidOption",
        True,
    )


@pytest.mark.parametrize("value", [np.int64(3), np.float32(3.0), 3.0, b"3", "3"], ids=repr)
def test_ids_of_other_libraries(value):
    """Are the same id."""
    assert make_row(9, {"text": "One.", "id": value}).id == "3"


def break_down_at(monkeypatch, broken):
    """Let the program fail at a text."""
    generate = RealProvider.generate

    def break_down(tts, text, **arguments):
        if text == broken:
            raise ZeroDivisionError("by two")
        return generate(tts, text, **arguments)

    monkeypatch.setattr(RealProvider, "generate", break_down)


def test_a_row_that_breaks_the_program_harms_no_other(table, tmp_path, monkeypatch):
    """Its error stands in the manifest."""
    break_down_at(monkeypatch, "Two.")
    summary = speak(table({"text": "One."}, {"text": "Two."}, {"text": "Three."}), tmp_path / "out")
    assert (summary.spoken, summary.failed) == (2, 1)
    assert entries(tmp_path / "out")[1]["error"] == "ZeroDivisionError"


# -- what holds for all rows -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"defaults": Defaults(voice="nobody-here")}, "nobody-here"),
        ({"defaults": Defaults(language="tlh")}, "tlh"),
        ({"defaults": Defaults(speed=99.0)}, "speed"),
        ({"defaults": Defaults(options={"warmth": 1})}, "warmth"),
        ({"defaults": Defaults(normalize="perhaps")}, "perhaps"),
        ({"defaults": Defaults(timestamps="words")}, "words"),
        ({"defaults": Defaults(reference_text="Hello.")}, "reference_text"),
        ({"seed": -1}, "seed"),
        ({"seed": 2**63}, "seed"),
    ],
)
def test_what_is_wrong_with_every_row_is_wrong_with_the_job(table, tmp_path, changes, words):
    """One error before any work, not a thousand in the manifest."""
    with pytest.raises(errors.RealTTSError, match=words):
        speak(table({"text": "One."}), tmp_path / "out", **changes)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("where", ["row", "job", "nowhere"])
def test_captions_of_a_provider_without_timings(table, tmp_path, monkeypatch, where):
    """They are refused, unless the times of words are asked for."""
    spec = fake_spec(name="mute", capabilities=frozenset({"voices"}))
    row = {"text": "One.", **({"timestamps": "align"} if where == "row" else {})}
    defaults = Defaults(timestamps="align" if where == "job" else None)
    job = BulkJob(table(row), tmp_path / "out", provider=spec, captions="srt", defaults=defaults)
    monkeypatch.setattr("realtts.synthesis.words_asked.check_libraries", _no_libraries)
    if where == "row":
        assert run_job(job).failed == 1
        assert entries(tmp_path / "out")[0]["error"] == "MissingExtra"
        return
    with pytest.raises(errors.RealTTSError) as caught:
        run_job(job)
    assert ("gives no timings" in str(caught.value)) == (where == "nowhere")


def _no_libraries(*_arguments, **_keywords):
    raise errors.MissingExtra("no libraries", who="test", fix="install them")


# -- going on ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rows", "changes", "left"),
    [
        ([{"id": "a", "text": "One."}, {"id": "b", "text": ""}], {}, {"a.wav", "a.srt"}),
        ([{"id": "a", "text": "One."}, {"id": "b", "text": "Two."}], {"format": "flac"},
         {"a.flac", "a.srt", "b.flac", "b.srt"}),
        ([{"id": "a", "text": "One."}, {"id": "b", "text": "Two."}], {"captions": None}, {"a.wav", "b.wav"}),
        ([{"id": "a", "text": "One."}, {"id": "b", "text": "Two."}], {"captions": "vtt"},
         {"a.wav", "a.vtt", "b.wav", "b.vtt"}),
        ([{"id": "a", "text": "One."}], {}, {"a.wav", "a.srt", "b.wav", "b.srt"}),
    ],
    ids=["a row that fails now", "format", "no captions", "other captions", "a row that is gone"],
)  # fmt: skip
def test_a_changed_job_leaves_nothing_old_of_its_rows(table, tmp_path, rows, changes, left):
    """No audio of a text that cannot be said any more, and none of another format; other rows' files stay."""
    first = [{"id": "a", "text": "One."}, {"id": "b", "text": "Two."}]
    speak(table(*first), tmp_path / "out", captions="srt")
    speak(table(*rows), tmp_path / "out", **{"captions": "srt", "resume": True, **changes})
    assert names(tmp_path / "out") == left


def test_an_edited_manifest_has_nothing_removed_elsewhere(table, tmp_path):
    """Whatever it calls a row's files."""
    source = table({"id": "a", "text": "One."})
    speak(source, tmp_path / "out", captions="srt")
    (tmp_path / "mine.srt").write_text("mine")
    (entry,) = entries(tmp_path / "out")
    (tmp_path / "out" / "manifest.jsonl").write_text(lines({**entry, "captions": "../mine.srt"}))
    speak(source, tmp_path / "out", resume=True, captions="vtt")
    assert (tmp_path / "mine.srt").read_text() == "mine"


@pytest.mark.parametrize(
    ("changed", "earlier"),
    [
        ({"strict": True}, 1),
        ({"queue_size": 5, "threads": 1, "REALTTS_IDLE_UNLOAD_S": "9"}, 1),
        ({"normalize": "off"}, 0),
        ({"language": "de"}, 0),
        ({"REALTTS_LANGUAGE": "de"}, 0),
        ({"REALTTS_NORMALIZE": "off"}, 0),
    ],
)
def test_settings_that_are_heard_count(table, tmp_path, monkeypatch, changed, earlier):
    """Wherever they were given; what says only how a row is worked on has nothing spoken again."""
    source = table({"text": "One 1."})
    speak(source, tmp_path / "out")
    for name in [name for name in changed if name.isupper()]:
        monkeypatch.setenv(name, changed[name])
    settings = {name: value for name, value in changed.items() if name.islower()}
    assert speak(source, tmp_path / "out", resume=True, settings=settings).earlier == earlier


def test_every_setting_that_is_not_heard_is_one():
    """The list names settings that there are."""
    assert set(Settings.model_fields) > _UNHEARD


@pytest.mark.parametrize(
    "change",
    [
        {"file": 5}, {"file": "a\0b"}, {"file": ["1.wav"]}, {"duration_s": "long"}, {"number": "1"}, {"captions": {}},
        {"warnings": "none"}, {"extra": []}, {"sha256": None}, {"later": 1}, {"id": None}, {"seed": 1.5},
    ],
    ids=str,
)  # fmt: skip
def test_an_entry_of_other_types_is_no_entry(table, tmp_path, change):
    """Its row is spoken anew, and the manifest is whole again."""
    source = table({"text": "One."}, {"text": "Two."})
    speak(source, tmp_path / "out")
    before = (tmp_path / "out" / "manifest.jsonl").read_text()
    first, second = entries(tmp_path / "out")
    (tmp_path / "out" / "manifest.jsonl").write_text(lines({**first, **change}, second))
    assert speak(source, tmp_path / "out", resume=True).earlier == 1
    assert (tmp_path / "out" / "manifest.jsonl").read_text() == before


def test_a_recording_counts_and_not_its_path(tmp_path, monkeypatch):
    """The same job from another folder is the same."""
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "me.wav").write_bytes(b"one")
    monkeypatch.chdir(tmp_path)
    prints = {fingerprint(SpeechRow(1, "1", "One.", voice="me.wav"), Defaults(folder="a"), 1, "speaker")}
    monkeypatch.chdir(tmp_path / "a")
    prints |= {
        fingerprint(SpeechRow(1, "1", "One.", voice=name), Defaults(folder="."), 1, "speaker")
        for name in ("me.wav", str(tmp_path / "a" / "me.wav"))
    }
    assert len(prints) == 1
    assert fingerprint(SpeechRow(1, "1", "One.", voice="you.wav"), Defaults(), 1, "speaker") not in prints


def test_a_saved_voice_that_was_replaced_is_another_one(tmp_path):
    """The rows with it are spoken anew, by its name or by the job's."""
    row, prints = SpeechRow(1, "1", "One.", voice="anna"), []
    noise = np.random.default_rng(0)
    for _ in range(2):
        samples = noise.normal(0, 0.2, 48_000).astype(np.float32)
        VoiceStore(tmp_path / "voices").add("anna", (samples, 24_000), overwrite=True)
        with RealProvider(fake_spec(), data_dir=tmp_path) as tts:
            prints += [fingerprint(row, Defaults(), 1, "s", saved_digests(tts)) for _ in range(2)]
    assert prints[0] == prints[1] != prints[2] == prints[3]


# -- folders -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["job.json", "manifest.jsonl", "1.srt", ".1.wav", "1.wav"])
def test_what_a_kill_leaves_half_written_is_removed(table, tmp_path, place):
    """Under whatever temporary name."""
    source = table({"text": "One."})
    speak(source, tmp_path / "out", captions="srt")
    before = names(tmp_path / "out")
    (tmp_path / "out" / f"{place}.0a1b2c3d.part").write_bytes(b"half")
    speak(source, tmp_path / "out", captions="srt", resume=True)
    assert names(tmp_path / "out") == before


def test_a_job_that_is_refused_removes_no_folder_of_another(table, tmp_path, monkeypatch):
    """Two begin at the same moment in a folder that is not there yet: the second must not take it away."""
    job = BulkJob(table({"text": "One."}), tmp_path / "out", provider="espeak")
    with open_folder(job):
        monkeypatch.setattr("realtts.bulk.job.os.path.lexists", lambda _path: False)
        with pytest.raises(errors.OutputError, match="another process"), open_folder(job):
            pass
        assert (tmp_path / "out" / "job.json").exists()


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.EOPNOTSUPP, errno.EINVAL])
def test_a_file_system_without_locks(table, tmp_path, monkeypatch, code):
    """Some of networks have none; no other process is to blame, and the job runs."""
    fcntl = pytest.importorskip("fcntl")

    def flock(*_arguments):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "flock", flock)
    assert speak(table({"text": "One."}), tmp_path / "out").spoken == 1


def test_a_job_that_did_not_come_to_its_first_row_leaves_no_folder(table, tmp_path, monkeypatch):
    """The same command works once its fault is mended."""
    source = table({"text": "One."})
    with monkeypatch.context() as patch:
        patch.setattr(
            RealProvider,
            "load",
            lambda _self: (_ for _ in ()).throw(errors.CheckpointMissing("none", who="x", fix="y")),
        )
        with pytest.raises(errors.CheckpointMissing):
            speak(source, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert speak(source, tmp_path / "out").spoken == 1


@pytest.mark.parametrize("full", ["audio", "manifest", "captions", "end"])
def test_a_full_disk_at_any_write(table, tmp_path, monkeypatch, full):
    """A typed error that says how to go on; what was spoken stays, and the result is that of one run."""
    source = table(*({"text": f"Number {number}."} for number in range(4)))
    speak(source, tmp_path / "whole", captions="srt")
    left = [2]

    def fail(real, matches):
        def call(*arguments, **keywords):
            if matches(*arguments):
                left[0] -= 1
                if left[0] < 0:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return real(*arguments, **keywords)

        return call

    targets = {
        "audio": ("realtts.bulk.manifest.os.fsync", lambda _file: True),
        "manifest": ("realtts.bulk.manifest._append", lambda *_: True),
        "captions": ("realtts.bulk.work.write_whole", lambda *_: True),
        "end": ("realtts.bulk.manifest.write_whole", lambda _path, content: bool(content)),
    }
    name, matches = targets[full]
    left[0] = {"end": 0, "audio": 8}.get(full, 2)
    with monkeypatch.context() as patch:
        patch.setattr(name, fail(_resolve(name), matches))
        with pytest.raises(errors.OutputError, match=r"--resume|disk space"):
            speak(source, tmp_path / "out", captions="srt")
    speak(source, tmp_path / "out", captions="srt", resume=True)
    for path in (tmp_path / "whole").iterdir():
        if path.name != "log.jsonl":
            assert (tmp_path / "out" / path.name).read_bytes() == path.read_bytes()
    assert names(tmp_path / "out") == names(tmp_path / "whole")


def _resolve(name):
    module, _, attribute = name.rpartition(".")
    if module.endswith(".os"):
        return getattr(os, attribute)
    return getattr(__import__(module, fromlist=[attribute]), attribute)


def test_a_folder_that_goes_away(table, tmp_path):
    """While the job runs: a typed error."""
    gone = threading.Event()

    def remove(_progress):
        if not gone.is_set():
            gone.set()
            (tmp_path / "out").rename(tmp_path / "moved")

    source = table(*({"text": f"Number {number}."} for number in range(20)))
    with pytest.raises(errors.OutputError):
        run_job(BulkJob(source, tmp_path / "out", provider="espeak", concurrency=1), remove)


# -- books -------------------------------------------------------------------------------------------------------------


def epub(path, pages, *, names=None, encoding="utf-8", attributes=""):
    """Write an EPUB of these pages."""
    names = names or [f"p{number}.xhtml" for number in range(len(pages))]
    items = "".join(
        f'<item id="i{n}" href="{name}" media-type="application/xhtml+xml" {attributes}/>'
        for n, name in enumerate(names)
    )
    order = "".join(f'<itemref idref="i{n}"/>' for n in range(len(pages)))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(
            "META-INF/container.xml", '<container><rootfiles><rootfile full-path="O/c.opf"/></rootfiles></container>'
        )
        archive.writestr("O/c.opf", f"<package><manifest>{items}</manifest><spine>{order}</spine></package>")
        for n, page in enumerate(pages):
            archive.writestr(f"O/p{n}.xhtml", page if isinstance(page, bytes) else page.encode(encoding))


@pytest.mark.parametrize(
    ("page", "text"),
    [
        ("<p><ruby>漢<rt>kan</ruby>字 and more.</p><p>Next.</p>", "漢字 and more.\n\nNext."),
        ("<p><ruby>漢<rp>(</rp><rt>kan</rt><rp>)</rp>字<rt>ji</rt></ruby> more.</p>", "漢字 more."),
        ("<p><ruby>漢<rt>kan<p>Next.", "漢\n\nNext."),
        ("<svg><svg><text>no</text></svg><text>no</text></svg><p>Yes.</p>", "Yes."),
        ("<head><meta charset='utf-8'><title>no</title></head><body><p>Yes.</p>", "Yes."),
        ("<p>One <![CDATA[and two]]>.</p>", "One and two."),
        ("<header>Title</header>Text<aside>Note</aside><table><caption>All</caption><tr><td>a<td>b</table>",
         "Title\n\nText\n\nNote\n\nAll\n\na\n\nb"),
        ("<p>One <span epub:type='pagebreak' title='5'>5</span>two <span role=\"doc-pagebreak\">6</span>three.</p>",
         "One two three."),
        ("<p>One</p><p hidden>no <b>no</b></p><p>Two <img hidden alt='no'>here</p>", "One\n\nTwo here"),
        ("<ul><li>One<li>Two</ul><details><summary>More</summary>Rest</details>", "One\n\nTwo\n\nMore\n\nRest"),
        ("<p/><a id='x'/><p>One</p><nav epub:type='toc'><ol><li>no</li></ol></nav><hr/>Two", "One\n\nTwo"),
    ],
)  # fmt: skip
def test_pages_of_an_epub(tmp_path, page, text):
    """Every word that a reader shows, and none that it does not."""
    epub(tmp_path / "a.epub", [page])
    (chapter,) = read_chapters(tmp_path / "a.epub")
    assert chapter.text == text


@pytest.mark.parametrize(
    ("head", "encoding"),
    [
        ("<?xml version='1.0' encoding='windows-1252'?>", "windows-1252"),
        ('<?xml version="1.0" encoding="UTF-16"?>', "utf-16"),
        ("", "utf-16"),
        ("", "utf-8-sig"),
        ("<html><head><meta charset=iso-8859-1></head>", "iso-8859-1"),
        ('<?xml version="1.0" encoding="no-such-thing"?>', "utf-8"),
        ('<?xml version="1.0" encoding="ascii"?>', "utf-8"),
    ],
)
def test_encodings_of_an_epub(tmp_path, head, encoding):
    """A page says itself how it is written."""
    epub(tmp_path / "a.epub", [f"{head}<p>Größe – ça va</p>".replace("–", "-")], encoding=encoding)
    (chapter,) = read_chapters(tmp_path / "a.epub")
    assert chapter.text == "Größe - ça va"


@pytest.mark.parametrize("name", ["P0.xhtml", "p0.xhtml#top", "./p0.xhtml", "../O/p0.xhtml", "p%30.xhtml"])
def test_names_of_pages(tmp_path, name):
    """As the package spells them, which may differ from the archive in case, and in what is not the name."""
    epub(tmp_path / "a.epub", ["<p>One.</p>"], names=[name], attributes='properties="svg navigation-free"')
    assert [chapter.text for chapter in read_chapters(tmp_path / "a.epub")] == ["One."]


def test_accents_of_names(tmp_path):
    """Composed in one place and not in the other."""
    with zipfile.ZipFile(tmp_path / "a.epub", "w") as archive:
        archive.writestr("META-INF/container.xml", '<c><rootfile full-path="c.opf"/></c>')
        item = '<item id="a" href="caf\u00e9.xhtml" media-type="application/xhtml+xml"/>'
        archive.writestr("c.opf", f'<package><manifest>{item}</manifest><spine><itemref idref="a"/></spine></package>')
        archive.writestr("cafe\u0301.xhtml", "<p>One.</p>")
    assert [chapter.text for chapter in read_chapters(tmp_path / "a.epub")] == ["One."]


@pytest.mark.parametrize("place", range(0, 400, 23))
def test_an_epub_with_a_wrong_byte(tmp_path, place):
    """Anywhere: a typed error, or the book."""
    epub(tmp_path / "a.epub", ["<p>One two three four five six seven.</p>" * 20])
    content = bytearray((tmp_path / "a.epub").read_bytes())
    content[place % len(content)] ^= 0xFF
    (tmp_path / "a.epub").write_bytes(content)
    with contextlib.suppress(errors.InvalidText):
        assert read_chapters(tmp_path / "a.epub")


@pytest.mark.parametrize(
    ("content", "texts"),
    [
        ("---\ntitle: Book\nauthor: Me\n---\n# One\n\nText.\n", ["One.\n\nText."]),
        ("---\ntitle: Book\n...\nText.\n", ["Text."]),
        ("---\n\nNot facts.\n\n---\n\nMore.\n", ["Not facts.\n\nMore."]),
        ("# One\n\n    An indented paragraph.\n\nText.\n", ["One.\n\nAn indented paragraph.\n\nText."]),
        ("# One\n\n```\ncode here\n```\n", ["One.\n\ncode here"]),
        ("<div align='center'>Title</div>\n\nText.\n", ["Title\n\nText."]),
        ("One &amp; \\*two\\* <b>three</b> [four](x) ![five](y)\n", ["One & *two* three four five"]),
        ("# Same\n\nOne.\n\n# Same\n\nTwo.\n", ["Same.\n\nOne.", "Same.\n\nTwo."]),
        ("One\n===\n\nText.\n\nTwo\n===\n\nMore.\n", ["One.\n\nText.", "Two.\n\nMore."]),
    ],
)
def test_markdown_loses_no_word(tmp_path, content, texts):
    """But facts about the file at its beginning; without headings it is one chapter."""
    (tmp_path / "a.md").write_text(content)
    assert [chapter.text for chapter in read_chapters(tmp_path / "a.md")] == texts


@pytest.mark.parametrize("name", ["Bücher.md", "книга.md", "書.md", "a b'c.md", "book.MD"])
def test_chapters_of_the_same_name(tmp_path, name):
    """In books of any name: each has a file of its own."""
    (tmp_path / name).write_text("# Глава\n\nOne.\n\n# Глава\n\nTwo.\n\n# 第一章\n\nThree.\n")
    summary = speak(tmp_path / name, tmp_path / "out", chapters=True, provider=fake_spec())
    assert summary.spoken == 3
    assert len({entry["file"] for entry in entries(tmp_path / "out")}) == 3


@pytest.mark.full  # by default: test_a_book_with_a_chapter_that_failed_is_none
@pytest.mark.skipif(not can_write(), reason="PyAV is not installed")
@pytest.mark.parametrize("change", ["text", "fewer", "title", "nothing"])
def test_an_audiobook_is_of_the_chapters_that_there_are(tmp_path, change):
    """Also when the job was killed between the last chapter and the book, so that nothing is left to be spoken."""
    book = tmp_path / "book.md"
    book.write_text("# One\n\nHello.\n\n# Two\n\nGood bye.\n")
    first = speak(book, tmp_path / "out", chapters=True)
    old = hashlib.sha256(first.audiobook.read_bytes()).digest()
    changed = {"text": "# One\n\nHello.\n\n# Two\n\nGood morning.\n", "fewer": "# One\n\nHello.\n",
               "title": "# One\n\nHello.\n\n# TWO\n\nGood bye.\n", "nothing": book.read_text()}  # fmt: skip
    book.write_text(changed[change])
    content = first.audiobook.read_bytes()
    speak(book, tmp_path / "out", chapters=True, resume=True)
    first.audiobook.write_bytes(content)  # what a kill had left
    again = speak(book, tmp_path / "out", chapters=True, resume=True)
    assert again.earlier == again.spoken
    assert (hashlib.sha256(again.audiobook.read_bytes()).digest() == old) == (change == "nothing")
    assert chapters_of(again.audiobook)


@pytest.mark.skipif(not can_write(), reason="PyAV is not installed")
def test_a_book_with_a_chapter_that_failed_is_none(tmp_path, monkeypatch):
    """An old one of other chapters is removed."""
    book = tmp_path / "book.md"
    book.write_text("# One\n\nHello.\n\n# Two\n\nGood bye.\n")
    path = speak(book, tmp_path / "out", chapters=True).audiobook
    assert path.exists()
    book.write_text("# One\n\nHello.\n\n# Two\n\nFail.\n")
    break_down_at(monkeypatch, "Two.\n\nFail.")
    summary = speak(book, tmp_path / "out", chapters=True, resume=True)
    assert (summary.failed, summary.audiobook, path.exists()) == (1, None, False)


_FFMPEG = """#!{python}
import pathlib, sys
given = sys.argv[1:]
if given[-1] == "-":
    print(pathlib.Path(given[given.index("-i") + 1]).read_text())
elif {code}:
    sys.exit("no such encoder")
else:
    sound = sys.stdin.buffer.read()
    facts = pathlib.Path(given[given.index("ffmetadata") + 2]).read_text()
    pathlib.Path(given[-1]).write_text(f"{{facts}}bytes={{len(sound)}}")
"""


@pytest.fixture
def ffmpeg(tmp_path, monkeypatch):
    """Puts a program ffmpeg where programs are looked for, and takes PyAV away; it ends with a code."""

    def ffmpeg(code=0):
        program = tmp_path / "bin" / "ffmpeg"
        program.parent.mkdir()
        program.write_text(_FFMPEG.format(python=sys.executable, code=code))
        program.chmod(0o755)
        monkeypatch.setenv("PATH", str(program.parent))
        monkeypatch.setattr("realtts.bulk.audiobook._has_pyav", lambda: False)

    return ffmpeg


@pytest.mark.skipif(os.name == "nt", reason="a script is no program there")
@pytest.mark.parametrize("title", ["Two", "a = b; c # d \\ e", "Ünïcode 書", "=", "[CHAPTER]"])
def test_an_audiobook_by_ffmpeg(tmp_path, ffmpeg, title):
    """All samples, and marks whose titles are written as ffmpeg reads them; it is not written again without need."""
    ffmpeg()
    for name in ("a", "b"):
        write(tmp_path / f"{name}.wav", np.full(1600, 0.1, np.float32), 16_000)
    chapters = [("One", tmp_path / "a.wav"), (title, tmp_path / "b.wav")]
    path = tmp_path / "book.m4b"
    assert can_write()
    assert chapters_of(path) == ""
    assert write_audiobook(path, chapters, title="A; book", digest="abc") == pytest.approx(2.2)
    assert chapters_of(path) == "abc"
    escaped = re.sub(r"([=;#\\])", r"\\\1", title)
    facts = [";FFMETADATA1", r"title=A\; book", "comment=abc"]
    marks = [
        line
        for name, start, end in (("One", 0, 17_600), (escaped, 17_600, 35_200))
        for line in ("[CHAPTER]", "TIMEBASE=1/16000", f"START={start}", f"END={end}", f"title={name}")
    ]
    assert path.read_text().splitlines() == [*facts, *marks, f"bytes={4 * 35_200}"]


@pytest.mark.skipif(os.name == "nt", reason="a script is no program there")
def test_an_audiobook_that_ffmpeg_cannot_write(tmp_path, ffmpeg):
    """A typed error with its words, and no file."""
    ffmpeg(code=1)
    write(tmp_path / "a.wav", np.full(1600, 0.1, np.float32), 16_000)
    with pytest.raises(errors.OutputError, match="no such encoder"):
        write_audiobook(tmp_path / "book.m4b", [("One", tmp_path / "a.wav")], title="Book")
    assert [path.name for path in tmp_path.glob("*book*")] == []
