"""Jobs: rows of a table into files of a folder, whatever is wrong with some of them, and however the job ends."""

import hashlib
import json
import os
import random
import zipfile
from concurrent.futures import Future

import pytest

from realtts import RealProvider, errors
from realtts.audio import read
from realtts.bulk import BadRow, BulkJob, Defaults, SpeechRow, make_row, read_chapters, read_rows, row_seed, run_job
from realtts.bulk.speaking import fingerprint, speak_row
from realtts.bulk.work import make_provider, speak_task, store


@pytest.fixture
def table(tmp_path):
    """Writes rows as JSON lines."""

    def table(*rows, name="texts.jsonl"):
        path = tmp_path / name
        path.write_text("".join(json.dumps(row) + "\n" if not isinstance(row, str) else f"{row}\n" for row in rows))
        return path

    return table


def entries(folder):
    """The manifest."""
    return [json.loads(line) for line in (folder / "manifest.jsonl").read_text().splitlines()]


def contents(folder):
    """All files of a job by name, without the times."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.name != "log.jsonl"}


def speak(source, folder, **changes):
    """Run a job of espeak."""
    return run_job(BulkJob(source, folder, provider="espeak", seed=7, **changes))


def test_each_row_gets_its_file(table, tmp_path):
    """Audio is what `generate` gives for the row's seed, and the manifest tells of every row in the table's order."""
    source = table({"text": "One."}, {"id": "b", "text": "Two.", "seed": 5, "speed": 1.5, "topic": "x"})
    summary = speak(source, tmp_path / "out")
    first, second = entries(tmp_path / "out")
    assert (summary.rows, summary.spoken, summary.failed, summary.seed) == (2, 2, 0, 7)
    assert (first["file"], first["id"], second["file"], second["extra"]) == ("1.wav", "1", "b.wav", {"topic": "x"})
    with RealProvider("espeak") as tts:
        alone = tts.generate("Two.", seed=5, speed=1.5)
    assert (tmp_path / "out" / "b.wav").read_bytes() == alone.encode("wav")
    assert second["sha256"] == hashlib.sha256(alone.encode("wav")).hexdigest()
    assert first["seed"] == row_seed(SpeechRow(1, "1", "One."), 7) != second["seed"] == 5
    assert first["duration_s"] == pytest.approx(len(read(tmp_path / "out" / "1.wav", max_seconds=9)[0]) / 22050)


@pytest.mark.parametrize(
    ("row", "error", "words"),
    [
        ({"text": ""}, "BlankText", "empty"),
        ({"words": "Hello."}, "InvalidText", "no text"),
        ({"txet": "Hello."}, "InvalidOption", "did you mean 'text'"),
        ({"text": 5}, "InvalidText", "5, a int"),
        ({"text": "Hello.", "speed": "fast"}, "InvalidOption", "fast"),
        ({"text": "Hello.", "speed": 99}, "InvalidOption", "speed"),
        ({"text": "Hello.", "seed": -1}, "InvalidOption", "-1"),
        ({"text": "Hello.", "voice": "nobody-here"}, "VoiceNotFound", "nobody-here"),
        ({"text": "Hello.", "options": {"warmth": 1}}, "UnknownOption", "warmth"),
        ({"text": "Hello.", "check_words": "perhaps"}, "InvalidOption", "perhaps"),
        ({"text": "Hello.", "check_words": 2}, "InvalidOption", "2, a int"),
        ({"text": "Hello.", "timestamps": "words"}, "InvalidOption", "words"),
        ({"text": "Hello.", "timestamps": True}, "InvalidOption", "True"),
        ({"text": "Hello.", "options": "{"}, "InvalidOption", "JSON"),
        ({"text": "Hello.", "options": [1]}, "InvalidOption", "[1]"),
        ({"text": "Hello.", "language": "tlh"}, "UnknownLanguage", "tlh"),
        ({"text": "Hello.", "id": ["a"]}, "InvalidOption", "id"),
        ({"text": "Hello.", "id": "good"}, "InvalidOption", "earlier row"),
        ("[1, 2]", "InvalidText", "no object"),
        ("{oops", "InvalidText", "JSON"),
    ],
)
def test_a_bad_row_has_its_error(table, tmp_path, row, error, words):
    """It stands in the manifest with its number; the others are spoken."""
    source = table({"text": "Hello.", "id": "good"}, row, {"text": "Bye."})
    summary = speak(source, tmp_path / "out")
    bad = entries(tmp_path / "out")[1]
    assert (summary.spoken, summary.failed) == (2, 1)
    assert (bad["number"], bad["error"]) == (2, error)
    assert words in bad["message"]
    assert "Fix: " in bad["message"]
    assert "file" not in bad


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.txt", b"Hello.", ".jsonl"),
        ("a.jsnl", b"", "did you mean '.jsonl'"),
        ("a.jsonl", b"", "no rows"),
        ("a.jsonl", b"\xff\xfe\x00", "UTF-8"),
        ("a.csv", b"txt,id\nHello.,1\n", "no column 'text'"),
        ("a.csv", b"text,text\na,b\n", "twice"),
        ("a.csv", b"", "no column 'text'"),
        ("missing.csv", None, "No such file"),
    ],
)
def test_a_bad_table_is_refused_before_any_work(tmp_path, name, content, words):
    """Nothing is made, and the message says what is wrong with it."""
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(errors.InputError, match=words.replace("(", r"\(")):
        speak(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_csv_has_quotes_lines_and_options(tmp_path):
    """Cells may hold separators and line breaks; empty ones are not given; ``options.NAME`` is an option."""
    path = tmp_path / "a.csv"
    path.write_text('\ufeffid,text,speed,options.pitch\nx,"One, two\nthree.",,\ny,Four.,1.5,70\nz,a,b,c,d\n', "utf-8")
    first, second, third = read_rows(path)
    assert (first.text, first.speed, first.options) == ("One, two\nthree.", None, {})
    assert (second.speed, dict(second.options)) == (1.5, {"pitch": "70"})
    assert isinstance(third, BadRow)
    assert "5 cells" in str(third.error)


def test_parquet_without_pyarrow_says_what_to_install(tmp_path, monkeypatch):
    """An optional library that is missing is named."""
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    with pytest.raises(errors.MissingExtra, match="pip install pyarrow"):
        list(read_rows(tmp_path / "a.parquet"))


@pytest.mark.parametrize(
    "identity", ["a/b", "../up", "..", ".hidden", "CON", "nul.txt", "x" * 300, "é", "a\0b", " ", "a."]
)
def test_an_id_is_no_path(table, tmp_path, identity):
    """Whatever an id holds, the file lies in the job's folder and the manifest has the id as it was."""
    speak(table({"text": "Hello.", "id": identity}), tmp_path / "out")
    (entry,) = entries(tmp_path / "out")
    assert entry["id"] == identity
    assert (tmp_path / "out" / entry["file"]).parent == tmp_path / "out"
    assert set(contents(tmp_path / "out")) == {"job.json", "manifest.jsonl", entry["file"]}


def test_ids_that_differ_in_case_have_different_files(table, tmp_path):
    """Some file systems would take them for one."""
    speak(table({"text": "One.", "id": "A"}, {"text": "Two.", "id": "a"}), tmp_path / "out")
    names = [entry["file"].casefold() for entry in entries(tmp_path / "out")]
    assert len(set(names)) == 2


def test_a_folder_with_a_job_needs_resume(table, tmp_path):
    """Neither a job nor other files are written over."""
    source = table({"text": "Hello."})
    speak(source, tmp_path / "out")
    before = contents(tmp_path / "out")
    with pytest.raises(errors.OutputError, match="--resume"):
        speak(source, tmp_path / "out")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.txt").write_text("mine")
    with pytest.raises(errors.OutputError, match="not empty"):
        speak(source, tmp_path / "other", resume=True)
    assert contents(tmp_path / "out") == before
    assert [path.name for path in (tmp_path / "other").iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"format": "wave"}, "wav"),
        ({"workers": 0}, "workers"),
        ({"concurrency": 1000}, "concurrency"),
        ({"workers": 2, "concurrency": 2}, "one of them"),
        ({"captions": "ass"}, "srt"),
        ({"provider": "nobody"}, "nobody"),
    ],
)
def test_a_wrong_setting_is_refused_before_any_work(table, tmp_path, changes, words):
    """No folder is made."""
    job = BulkJob(table({"text": "Hello."}), tmp_path / "out", **{"provider": "espeak", **changes})
    with pytest.raises(errors.RealTTSError, match=words):
        run_job(job)
    assert not (tmp_path / "out").exists()


def test_resume_speaks_what_is_missing_or_changed(table, tmp_path):
    """Rows that were spoken are left alone; new ones, changed ones and failed ones are spoken."""
    speak(table({"text": "One."}, {"text": "Two."}, {"text": ""}), tmp_path / "out")
    times = {name: (tmp_path / "out" / name).stat().st_mtime_ns for name in ("1.wav", "2.wav")}
    source = table({"text": "One."}, {"text": "Two, changed."}, {"text": "Three."}, {"text": "Four."})
    summary = speak(source, tmp_path / "out", resume=True)
    assert (summary.spoken, summary.earlier, summary.failed) == (4, 1, 0)
    assert (tmp_path / "out" / "1.wav").stat().st_mtime_ns == times["1.wav"]
    assert (tmp_path / "out" / "2.wav").stat().st_mtime_ns != times["2.wav"]
    speak(source, tmp_path / "fresh")
    assert contents(tmp_path / "out") == contents(tmp_path / "fresh")


def test_resume_with_another_seed_is_refused(table, tmp_path):
    """It would mix two jobs."""
    source = table({"text": "Hello."})
    speak(source, tmp_path / "out")
    with pytest.raises(errors.InvalidOption, match="seed 7"):
        run_job(BulkJob(source, tmp_path / "out", provider="espeak", seed=8, resume=True))


@pytest.mark.parametrize("seed", range(6))
def test_whatever_a_kill_leaves_the_audio_is_that_of_one_run(table, tmp_path, seed):
    """A torn manifest, audio under its temporary name, audio without an entry: what a kill at some place leaves."""
    source = table(*({"text": f"Sentence number {number}."} for number in range(8)))
    speak(source, tmp_path / "whole")
    speak(source, tmp_path / "out")
    out, draw = tmp_path / "out", random.Random(seed)
    lines = (out / "manifest.jsonl").read_bytes().splitlines(keepends=True)
    draw.shuffle(lines)
    kept = draw.randrange(1, 7)
    torn = lines[kept][: draw.randrange(1, len(lines[kept]) - 1)]
    (out / "manifest.jsonl").write_bytes(b"".join(lines[:kept]) + torn)
    noted, *others = (json.loads(line)["file"] for line in lines[kept - 1 :])
    (out / noted).rename(out / f".{noted}.part")  # killed before the audio had its name
    for name in others:
        (out / name).rename(out / f".{name}.part")  # written, but not noted
    (out / f".{others[-1]}.part").write_bytes(b"half")
    summary = speak(source, out, resume=True)
    assert summary.earlier == kept
    assert contents(out) == contents(tmp_path / "whole")


def test_an_entry_that_points_elsewhere_is_no_entry(table, tmp_path):
    """A manifest that somebody edited makes nothing outside the folder move."""
    source = table({"text": "Hello."})
    speak(source, tmp_path / "out")
    (tmp_path / ".victim.part").write_bytes(b"mine")
    line = json.loads((tmp_path / "out" / "manifest.jsonl").read_text())
    line |= {"file": "../victim", "sha256": hashlib.sha256(b"mine").hexdigest()}
    (tmp_path / "out" / "manifest.jsonl").write_text(f"{json.dumps(line)}\n[]\n5\n{{}}\n")
    assert speak(source, tmp_path / "out", resume=True).spoken == 1
    assert (tmp_path / ".victim.part").read_bytes() == b"mine"


def test_two_jobs_in_one_folder(table, tmp_path):
    """The second one is refused while the first works."""
    source = table({"text": "One."}, {"text": "Two."})
    seen = []

    def start_another(progress):
        if not seen:
            seen.append(progress)
            with pytest.raises(errors.OutputError, match="another process"):
                speak(source, tmp_path / "out", resume=True)

    run_job(BulkJob(source, tmp_path / "out", provider="espeak"), start_another)
    assert seen


def test_captions_stand_beside_the_audio(table, tmp_path):
    """With marks; a provider without them is refused before any work."""
    speak(table({"text": "Hello there."}), tmp_path / "out", captions="srt")
    (entry,) = entries(tmp_path / "out")
    assert "Hello there." in (tmp_path / "out" / entry["captions"]).read_text()


def test_a_recording_beside_the_table_is_a_voice(table, tmp_path):
    """Its path is looked up there; a change of its bytes makes the row another one."""
    row = {"text": "Hello.", "voice": "me.wav"}
    (tmp_path / "me.wav").write_bytes(b"not audio")
    summary = speak(table(row), tmp_path / "out", defaults=Defaults(folder=str(tmp_path)))
    (entry,) = entries(tmp_path / "out")
    assert summary.failed == 1
    assert entry["error"] in {"VoiceUnsupported", "VoiceNotFound"}  # espeak has voices of its own only


def test_a_recording_that_changed_is_another_voice(tmp_path):
    """In the same process too: what was spoken with the old one is spoken anew."""
    row, prints = SpeechRow(1, "1", "Hello.", voice=str(tmp_path / "me.wav")), set()
    for content in (b"one", b"other", b"third"):
        (tmp_path / "me.wav").write_bytes(content)
        os.utime(tmp_path / "me.wav", ns=(len(prints), len(prints)))
        prints.add(fingerprint(row, Defaults(), 1, "speaker"))
    assert len(prints) == 3


@pytest.mark.full  # by default: test_resume_speaks_what_is_missing_or_changed, in one process
def test_worker_processes_give_the_same(table, tmp_path):
    """Two processes with a model each: the files are those of one process."""
    source = table(*({"text": f"Sentence number {number}."} for number in range(5)), {"text": ""})
    speak(source, tmp_path / "one")
    speak(source, tmp_path / "two", workers=2)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


@pytest.mark.parametrize(
    ("name", "content", "titles"),
    [
        (
            "a.txt",
            "Hello.\n\nChapter 1\n\nOne.\n\n\nCHAPTER II. A Letter\n\nTwo.",
            ["", "Chapter 1", "CHAPTER II. A Letter"],
        ),
        ("a.txt", "Just a text about chapter 2.\n\nMore.", [""]),
        ("a.txt", "I\n\nOne.\n\nII.\n\nTwo.", ["I", "II."]),
        ("a.txt", "Kapitel 1\n\nEins.\n\nKapitel 2: Nacht\n\nZwei.", ["Kapitel 1", "Kapitel 2: Nacht"]),
        ("a.md", "# Book\n\nIntro.\n\n## One\n\nText *here*.\n\n## Two\n\nMore.", ["", "One", "Two"]),
        ("a.md", "# One\n\nText.\n\n# Two\n\n## Part\n\nMore.", ["One", "Two"]),
        ("a.md", "No heading.", [""]),
    ],
)
def test_chapters_of_a_book(tmp_path, name, content, titles):
    """They begin with headings, and all words are in one of them."""
    path = tmp_path / name
    path.write_text(content, encoding="utf-8")
    chapters = read_chapters(path)
    assert [chapter.title for chapter in chapters] == titles
    words = " ".join(chapter.text for chapter in chapters)
    assert all(word.strip("#*.") in words for word in content.split())


def epub(path, pages, **more):
    """Write an EPUB of these pages."""
    items = "".join(
        f'<item id="i{n}" href="p{n}.xhtml" media-type="application/xhtml+xml"/>' for n in range(len(pages))
    )
    order = "".join(f'<itemref idref="i{n}"/>' for n in range(len(pages)))
    files = {
        "META-INF/container.xml": '<container><rootfiles><rootfile full-path="O/c.opf"/></rootfiles></container>',
        "O/c.opf": f"<package><manifest>{items}</manifest><spine>{order}</spine></package>",
        **{f"O/p{n}.xhtml": page for n, page in enumerate(pages)},
        **more,
    }
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)


def test_chapters_of_an_epub(tmp_path):
    """Pages in the order of the spine, with their words and without what is not read."""
    first_page = "<body><h1>First</h1><p>A &amp; <em>b</em>.</p><script>no</script></body>"
    epub(
        tmp_path / "a.epub",
        [
            f"<html><head><title>no</title></head>{first_page}</html>",
            "<html><body><nav>no</nav><p>Two<br/>lines</p><img alt='A cat'/></body></html>",
            "<html><body> </body></html>",
        ],
    )
    first, second = read_chapters(tmp_path / "a.epub")
    assert (first.title, first.text) == ("First", "First.\n\nA & b.")
    assert (second.title, second.text) == ("", "Two\n\nlines\n\nA cat")


_ENTITIES = "<!DOCTYPE a [<!ENTITY b 'c'>]><package>&b;</package>"


def flipped(path, name):
    """A book's bytes, the compressed ones of a file in it changed."""
    with zipfile.ZipFile(path) as archive:
        about = archive.getinfo(name)
    content, at = bytearray(path.read_bytes()), about.header_offset + 30 + len(name)
    content[at : at + 3] = b"\xff\xff\xff"
    return bytes(content)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.write_bytes(b"no zip"),
        lambda path: path.write_bytes(path.read_bytes()[:-30]),
        lambda path: epub(path, ["<p>a</p>"], **{"META-INF/container.xml": "<container/>"}),
        lambda path: epub(path, ["<p>a</p>"], **{"O/c.opf": "<!DOCTYPE a [<!ENTITY b 'c'>]><package>&b;</package>"}),
        lambda path: epub(path, ["<p>a</p>"], **{"O/c.opf": "<package"}),
        lambda path: epub(path, ["<p>" + "a" * (33 << 20) + "</p>"]),
        lambda path: epub(path, ["<p>a</p>"], **{"META-INF/encryption.xml": "<e><r URI='O/p0.xhtml'/></e>"}),
        lambda path: epub(path, ["<p> </p>"]),
        lambda path: epub(path, ["<p>a</p>"], **{"O/c.opf": _ENTITIES.encode("utf-16")}),
        lambda path: epub(path, ["<p>a</p><![x[ y"]),
        lambda path: path.write_bytes(flipped(path, "O/p0.xhtml")),
        lambda path: epub(path, ["<p>a</p>"], **{"META-INF/container.xml": b"\xff\xfe\x00"}),
    ],
    ids=[
        "no-zip",
        "cut",
        "no-root",
        "entities",
        "no-xml",
        "bomb",
        "encrypted",
        "blank",
        "entities-in-utf-16",
        "no-section",
        "no-deflate",
        "no-encoding",
    ],
)
def test_a_damaged_epub_is_a_typed_error(tmp_path, spoil):
    """Before any work, and a compressed file that grows without end is not unpacked."""
    path = tmp_path / "a.epub"
    epub(path, ["<p>a</p>"])
    spoil(path)
    with pytest.raises(errors.InvalidText):
        read_chapters(path)


def test_a_book_becomes_an_audiobook(tmp_path):
    """A file for each chapter, and one of all with a mark at the beginning of each."""
    av = pytest.importorskip("av")
    (tmp_path / "book.md").write_text("# One\n\nHello there.\n\n# Two\n\nGood bye.\n")
    summary = speak(tmp_path / "book.md", tmp_path / "out", chapters=True, captions="vtt")
    files = [entry["file"] for entry in entries(tmp_path / "out")]
    assert files == ["001-one.wav", "002-two.wav"]
    with av.open(str(summary.audiobook)) as book:
        marks = [(mark["metadata"]["title"], round(mark["start"] * mark["time_base"], 1)) for mark in book.chapters()]
        assert book.duration / 1e6 == pytest.approx(summary.audio_s + 2.0, abs=0.1)
    first = entries(tmp_path / "out")[0]["duration_s"]
    assert [title for title, _ in marks] == ["One", "Two"]
    assert float(marks[1][1]) == pytest.approx(first + 1.0, abs=0.1)


@pytest.mark.parametrize(
    "values", [{"text": "a", "speed": float("nan")}, {"text": "a", "seed": 5.0}, {"text": "a", "voice": None}]
)
def test_what_tables_have_for_nothing(values):
    """NaN and null stand for a value that is not given, and a fraction without a rest is a whole number."""
    row = make_row(3, values)
    assert isinstance(row, SpeechRow)
    assert (row.id, row.speed, row.voice) == ("3", None, None)


class _Point:
    """An entry point of hands that speak in this process."""

    name = "ray"

    def __init__(self, calls):
        self.calls = calls

    def load(self):
        def hire(job, folder, seed, rows):
            self.calls.append((job.workers, seed, rows))
            return _Hands(job, folder, seed)

        return hire


class _Hands:
    """Speaks each row when it is submitted."""

    places = 2

    def __init__(self, job, folder, seed):
        self.tts, self.arguments = make_provider(job), (job, folder, seed)

    def submit(self, task):
        job, folder, seed = self.arguments
        future = Future()
        future.set_result(store(speak_task(task, self.tts, job, seed), folder))
        return future

    def close(self, *, at_once):
        self.tts.close()


def test_hands_of_another_distribution_work_on_a_job(table, tmp_path, monkeypatch):
    """The folder is that of threads of this process."""
    calls = []
    monkeypatch.setattr("realtts.bulk.hands.entry_points", lambda group: [_Point(calls)])
    source = table(*({"text": f"Number {number}."} for number in range(5)), {"text": ""})
    speak(source, tmp_path / "here")
    summary = speak(source, tmp_path / "there", ray="auto", workers=3, concurrency=2)
    assert (summary.spoken, summary.failed, calls) == (5, 1, [(3, 7, 2)])
    assert contents(tmp_path / "there") == contents(tmp_path / "here")


def test_hands_that_are_not_installed(table, tmp_path, monkeypatch):
    """The error says what to install; GPUs of workers need a cluster."""
    monkeypatch.setattr("realtts.bulk.hands.entry_points", lambda group: [])
    with pytest.raises(errors.MissingExtra, match="pip install realtts-ray"):
        speak(table({"text": "One."}), tmp_path / "out", ray="auto")
    with pytest.raises(errors.InvalidOption, match="cluster"):
        speak(table({"text": "One."}), tmp_path / "out", worker_gpus=1.0)


@pytest.mark.parametrize(
    ("row", "defaults", "asked"),
    [
        ({}, {}, (False, None)),
        ({"check_words": True}, {}, (True, None)),
        ({"check_words": "yes", "timestamps": "align"}, {}, (True, "align")),
        ({"check_words": "false"}, {"check_words": True, "timestamps": "align"}, (False, "align")),
        ({"check_words": "1"}, {"timestamps": "align"}, (True, "align")),
        ({"timestamps": ""}, {"check_words": True}, (True, None)),
    ],
)
def test_words_are_listened_for(row, defaults, asked, monkeypatch):
    """As the row says, else as the job does; a row of which nothing is asked is the same as before."""
    given = {}
    monkeypatch.setattr(RealProvider, "generate", lambda _self, _text, **arguments: given.update(arguments))
    made = make_row(1, {"text": "One.", **row})
    with RealProvider("espeak") as tts:
        speak_row(tts, made, Defaults(**defaults), 7)
    assert (given.get("check_words", False), given.get("timestamps")) == asked
    plain = fingerprint(SpeechRow(1, "1", "One."), Defaults(), 7, "espeak")
    assert (fingerprint(made, Defaults(**defaults), 7, "espeak") == plain) == (asked == (False, None))
