"""JSON, TOML and text that anybody may have written are read, or refused with one error and a short message."""

import json

import pytest

from realtts import CheckpointCorrupt, CheckpointMismatch, CheckpointMissing, RealProvider, SettingsError
from realtts.bench import compare_records, load_record
from realtts.checkpoints import fetch
from realtts.cli.settings_file import change_setting
from realtts.contract.spec import Checkpoint
from realtts.documents import DEEPEST, DocumentError, jsonable, parse_json, parse_toml, read_json, read_toml
from realtts.errors import InvalidOption, IsolationError, enumeration
from realtts.isolation import environments
from realtts.kit.entries import MOST_LAYERS, count, positive, reading_entries
from realtts.kit.libraries import reading_by_library
from realtts.kit.reading import NOTE, read_json as read_configuration, read_text
from realtts.testing import fake_spec
from realtts.wire.specs import spec_from_json

BROKEN_JSON = {
    "deep lists": "[" * 100_000,
    "deep tables": '{"a":' * 3_000 + "1" + "}" * 3_000,
    "just too deep": "[" * (DEEPEST + 2) + "]" * (DEEPEST + 2),
    "digits": '{"a": ' + "9" * 5_000 + "}",
    "negative digits": '{"a": -' + "1" * 4_200 + "}",
    "nan": '{"a": NaN}',
    "infinity": '{"a": -Infinity}',
    "overflow": '{"a": 1e999}',
    "twice": '{"a": 1, "b": 2, "a": 3}',
    "surrogate": '{"a": "\\ud800"}',
    "surrogate in a key": '{"\\uDFFF": 1}',
    "cut": '{"a": [1, 2',
    "empty": "",
    "behind the end": "{} {}",
}
BROKEN_BYTES = {
    "utf-16": '{"a": 1}'.encode("utf-16"),
    "latin-1": '{"a": "é"}'.encode("latin-1"),
    "utf-32": '{"a": 1}'.encode("utf-32-be"),
    "nul": b"\0" * 64,
    "lfs": b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n",
    "zip": b"PK\x03\x04\xff\xfe" * 20,
}
BROKEN_FILES = {**{name: text.encode() for name, text in BROKEN_JSON.items()}, **BROKEN_BYTES}
BROKEN_TOML = {
    "deep lists": "a = " + "[" * 50_000,
    "deep tables": "a = " + "{b = " * 2_000 + "1" + "}" * 2_000,
    "deep keys": ".".join("a" * 5_000) + " = 1",
    "digits": "queue_size = " + "9" * 5_000,
    "fewer digits": "queue_size = " + "9" * 4_000,
    "not closed": 'device = "cpu',
    "twice": "queue_size = 1\nqueue_size = 2",
}


def short(error):
    """Whether a message can be read: no traceback, no thousand names."""
    return len(str(error)) < 600 and "\n" not in str(error)


@pytest.mark.parametrize("content", BROKEN_FILES.values(), ids=BROKEN_FILES)
def test_a_broken_json_file_is_one_error(tmp_path, content):
    """Whatever is wrong with it, reading gives `DocumentError`, and of a checkpoint's file `CheckpointCorrupt`."""
    path = tmp_path / "config.json"
    path.write_bytes(content)
    with pytest.raises(DocumentError) as caught:
        read_json(path)
    assert short(caught.value)
    with pytest.raises(CheckpointCorrupt, match=r"config\.json") as caught:
        read_configuration(path)
    assert short(caught.value)


@pytest.mark.parametrize("text", BROKEN_TOML.values(), ids=BROKEN_TOML)
def test_a_broken_settings_file_is_a_settings_error(tmp_path, monkeypatch, text):
    """A file of settings that no parser survives is an error that names the file."""
    path = tmp_path / "realtts.toml"
    path.write_text(text, encoding="utf-8")
    monkeypatch.setenv("REALTTS_CONFIG", str(path))
    with pytest.raises(SettingsError, match=r"realtts\.toml") as caught:
        RealProvider(fake_spec())
    assert short(caught.value)


@pytest.mark.parametrize("content", BROKEN_BYTES.values(), ids=BROKEN_BYTES)
def test_settings_in_another_encoding_are_a_settings_error(tmp_path, monkeypatch, content):
    """Bytes that are no UTF-8 text are refused as settings, too."""
    path = tmp_path / "realtts.toml"
    path.write_bytes(content)
    monkeypatch.setenv("REALTTS_CONFIG", str(path))
    with pytest.raises(SettingsError, match=r"realtts\.toml"):
        RealProvider(fake_spec())


@pytest.mark.parametrize("value", ["9" * 200, "inf", "nan", "-1", "1e400", "true", '"\\u0000"', "[[[1]]]"])
def test_a_number_that_is_none_is_a_settings_error(tmp_path, monkeypatch, value):
    """Huge, infinite and negative values of a setting are refused by name."""
    path = tmp_path / "realtts.toml"
    path.write_text(f"queue_size = {value}\n", encoding="utf-8")
    monkeypatch.setenv("REALTTS_CONFIG", str(path))
    with pytest.raises(SettingsError) as caught:
        RealProvider(fake_spec())
    assert short(caught.value)


@pytest.mark.parametrize("text", ["queue_size = 5\n", "[providers.fake]\nqueue_size = 5\n", "# é\nqueue_size = 5"])
def test_a_byte_order_mark_before_settings_is_no_fault(tmp_path, monkeypatch, text):
    """Editors on Windows write one."""
    path = tmp_path / "realtts.toml"
    path.write_text(text, encoding="utf-8-sig")
    monkeypatch.setenv("REALTTS_CONFIG", str(path))
    spec = fake_spec()
    assert read_toml(path)
    assert RealProvider(spec).settings.queue_size == 5 or "providers" in text


@pytest.mark.parametrize("content", [{"a": 1}, {"é": ["x"]}, {}, {"a": {"b": None}}, {"n": 10**30}])
def test_a_byte_order_mark_before_json_is_no_fault(tmp_path, content):
    """The content is that of the file without it."""
    path = tmp_path / NOTE
    path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8-sig")
    assert read_configuration(path) == content
    assert read_text(path).startswith("{")


def test_the_users_own_file_is_not_to_be_fetched_again(tmp_path):
    """What the user wrote cannot be had from a hub."""
    from realtts.kit.reading import noted_configuration

    path = tmp_path / NOTE
    path.write_text("{", encoding="utf-8")
    with pytest.raises(CheckpointCorrupt) as caught:
        noted_configuration(path, {})
    assert "fetch" not in caught.value.fix


@pytest.mark.parametrize("name", ["model.safetensors", "vocab.txt", "tokenizer.json", "model.onnx", "conds.pt"])
def test_a_git_lfs_pointer_is_named_as_such(tmp_path, name):
    """A folder that was cloned without Git LFS is found out before any file is parsed."""
    for file in ("config.json", name):
        (tmp_path / file).write_text("{}", encoding="utf-8")
    (tmp_path / name).write_bytes(BROKEN_BYTES["lfs"])
    with pytest.raises(CheckpointCorrupt, match="Git LFS pointer") as caught:
        fetch(Checkpoint("own", path=tmp_path), ["config.json", name])
    assert name in str(caught.value)
    assert "weights_only" not in str(caught.value)


@pytest.mark.parametrize("shards", [1, 2, 1000, 40_000])
def test_an_index_of_many_names_is_read_quickly_and_told_shortly(tmp_path, shards):
    """A message lists a few of the missing parts, and says how many there are."""
    table = {f"layers.{n}.weight": f"model-{n % shards:06d}.safetensors" for n in range(40_000)}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": table}), encoding="utf-8")
    with pytest.raises(CheckpointMissing) as caught:
        fetch(Checkpoint("own", path=tmp_path), ["model.safetensors.index.json"])
    assert short(caught.value)
    assert "model-000000.safetensors" in str(caught.value)


@pytest.mark.parametrize(
    "table", [None, [], "x", {"a": 1}, {"a": None}, {"a": ["b"]}, {"a": {"b": "c"}}, {"a": "../b"}]
)
def test_an_index_of_another_form_is_corrupt(tmp_path, table):
    """Numbers, lists and paths that lead out are no names of parts."""
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": table}), encoding="utf-8")
    with pytest.raises(CheckpointCorrupt):
        fetch(Checkpoint("own", path=tmp_path), ["model.safetensors.index.json"])


@pytest.mark.parametrize("value", [-1, 0, True, 1.5, "64", None, [64], {}, 10**30, 2**31, float("inf")])
def test_a_size_is_a_whole_number_in_its_range(value):
    """Everything else is a mismatch that names the entry."""
    with pytest.raises(CheckpointMismatch, match="hidden"), reading_entries("file"):
        count({"hidden": value}, "hidden")


@pytest.mark.parametrize("value", [-1, 0, False, "x", [1], float("nan"), float("inf")])
def test_an_epsilon_is_a_number_above_zero(value):
    """Everything else is a mismatch that names the entry."""
    with pytest.raises(CheckpointMismatch, match="eps"), reading_entries("file"):
        positive({"eps": value}, "eps", 1.0)


def test_layers_come_to_an_end():
    """A thousand million layers would be made one by one."""
    with pytest.raises(CheckpointMismatch, match="layers"), reading_entries("file"):
        count({"layers": 10**9}, "layers", most=MOST_LAYERS)
    assert count({"layers": 24.0}, "layers", most=MOST_LAYERS) == 24
    assert count({}, "layers", 3) == 3


@pytest.mark.parametrize("content", BROKEN_FILES.values(), ids=BROKEN_FILES)
def test_a_broken_environment_is_an_isolation_error(tmp_path, content):
    """The description of an isolated environment may be damaged like any file; others are still listed."""
    (tmp_path / environments.FILE).write_bytes(content)
    with pytest.raises(IsolationError) as caught:
        environments.read(tmp_path)
    assert short(caught.value)


@pytest.mark.parametrize("spec", [{}, {"name": []}, {"name": "x", "options": 3}, {"name": "x", "sample_rates": "abc"},
                                  {"name": "x", "options": {"schema": {}}}])  # fmt: skip
def test_a_broken_spec_is_an_isolation_error(spec):
    """Entries of wrong types, and missing ones."""
    with pytest.raises(IsolationError):
        spec_from_json(spec)


@pytest.mark.parametrize("content", [*BROKEN_FILES.values(), b"[1]", b'{"kind": "realtts.bench"}'])
def test_a_broken_record_is_an_invalid_option(tmp_path, content):
    """A record for ``bench --compare`` may be any file."""
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(InvalidOption) as caught:
        load_record(path)
    assert short(caught.value)


@pytest.mark.parametrize(
    "record", [{}, {"variants": 3}, {"variants": []}, {"variants": {}}, {"variants": {}, "machine": 1}]
)
def test_an_incomplete_record_is_an_invalid_option(record):
    """What a record lacks is told, and no KeyError."""
    with pytest.raises(InvalidOption, match="record"):
        compare_records(record, record)


SOUND = [("[]", []), ("1e3", 1000.0), ('"é"', "é"), ("null", None), ('[{"b": "\\ud83d\\ude00"}]', [{"b": "😀"}])]


@pytest.mark.parametrize(("text", "content"), SOUND)
def test_sound_json_is_what_it_says(text, content):
    """Strictness refuses nothing that is sound."""
    assert parse_json(text) == content
    assert parse_json(text.encode("utf-8-sig")) == content


def test_sound_toml_is_what_it_says():
    """Tables in tables, dates and numbers come through."""
    assert parse_toml("a.b = 1\n[c]\nd = [1.5, 2]") == {"a": {"b": 1}, "c": {"d": [1.5, 2]}}


@pytest.mark.parametrize("names", [0, 1, 6, 7, 200_000])
def test_an_enumeration_is_short(names):
    """Never more than a few names."""
    text = enumeration(f"name{n}" for n in range(names))
    assert text.count(",") <= 5
    assert (f"{names - 6} more" in text) == (names > 6)


@pytest.mark.parametrize("name", ["model.safetensors", "t3_cfg.safetensors", "model.bin", "a/model.safetensors"])
def test_weights_in_shards_are_named_as_such(tmp_path, name):
    """Where only one file is read, the error says what was found in its place."""
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / f"{name}.index.json").write_text("{}", encoding="utf-8")
    with pytest.raises(CheckpointMissing, match="shards") as caught:
        fetch(Checkpoint("own", path=tmp_path), [name])
    assert name in str(caught.value)


@pytest.mark.parametrize(
    "text", ["", "queue_size = 5\n", "# é\r\n", "[providers.x]\nqueue_size = 1\n", 'provider = "a"']
)
def test_a_byte_order_mark_stays_where_a_setting_is_changed(tmp_path, text):
    """``realtts default`` leaves every other character as it was."""
    path = tmp_path / "realtts.toml"
    path.write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert change_setting(path, "provider", "espeak")
    assert path.read_bytes().startswith(b"\xef\xbb\xbf")
    assert read_toml(path)["provider"] == "espeak"
    path.write_bytes(b"\xef\xbb\xbf" + b"a = " + b"[" * 50_000)
    with pytest.raises(SettingsError):
        change_setting(path, "provider", "espeak")


def deep(levels):
    """Lists inside each other."""
    value = 1
    for _ in range(levels):
        value = [value]
    return value


class Level(int):
    """A number of a class of its own."""

    def __repr__(self):
        return "a level"


REPORTED = {
    "not a number": (float("nan"), "nan"),
    "infinite": ({"loss": [float("-inf")]}, {"loss": ["-inf"]}),
    "large": (2**63, "a whole number of 64 bits"),
    "too large to be written": (-(10**5000), "a whole number of 16610 bits"),
    "just small enough": (-(2**63) + 1, -(2**63) + 1),
    "surrogate": ("a\udc80", "a\\udc80"),
    "surrogate in a key": ({"\ud800": 1}, {"\\ud800": 1}),
    "keys of numbers": ({1: True, None: "x"}, {"1": True, "None": "x"}),
    "a number of its own class": (Level(3), 3),
    "truth": ((True, None), [True, None]),
    "a set": ({"only"}, ["only"]),
    "an object": (DocumentError, str(DocumentError)),
    "bytes": (b"ab", "b'ab'"),
}


@pytest.mark.parametrize("case", REPORTED, ids=str)
def test_what_foreign_code_reports_becomes_json(case):
    """Strict JSON, whatever it was, and the same again when it is read."""
    value, expected = REPORTED[case]
    found = jsonable(value)
    assert (found, type(found)) == (expected, type(expected))
    assert parse_json(json.dumps(found, allow_nan=False)) == expected


def test_what_has_no_end_is_refused():
    """Lists that hold themselves, once or twice, and more parts than anybody reads."""
    once, twice = [], []
    once.append(once)
    twice += [twice, twice]
    for value in (twice, list(range(200_000))):
        with pytest.raises(ValueError, match="too many parts"):
            jsonable(value)
    assert json.dumps(jsonable({"deep": deep(300), "once": once}))


class Panic(BaseException):
    """As compiled libraries raise it."""


def failing(path, error):
    """Read a file by a library that raises."""
    with reading_by_library(path):
        raise error


@pytest.mark.parametrize(
    "error",
    [Panic("index out of bounds"), SystemExit(3), KeyError("model"), RecursionError(), MemoryError(), GeneratorExit()],
    ids=lambda error: type(error).__name__,
)
def test_whatever_a_library_raises_names_the_file(tmp_path, error):
    """A panic too, which is no `Exception`."""
    path = tmp_path / "tokenizer.json"
    path.write_text("{}")
    with pytest.raises(CheckpointCorrupt, match=r"tokenizer\.json") as caught:
        failing(path, error)
    assert short(caught.value)


@pytest.mark.parametrize(
    "error", [CheckpointMismatch("no", who="x", fix="y"), KeyboardInterrupt()], ids=["ours", "key"]
)
def test_what_is_no_fault_of_the_file_passes(tmp_path, error):
    """Errors that say more already, and an interrupt."""
    with pytest.raises(type(error)):
        failing(tmp_path / "a", error)
