"""What a checkpoint's files hold is read, or refused by name."""

from __future__ import annotations

import pytest

from realtts import CheckpointCorrupt, CheckpointMismatch
from realtts.checkpoints.reading import FIX, NOTE, check_shapes, noted, read_json, supported, understood

WANTED = {"a": (2, 3), "b": (4,), "b.window": (5,)}


def test_a_file_of_the_model_is_taken():
    """What is computed may be missing, and what is known to be spare may be there."""
    check_shapes(WANTED, WANTED, "file 'x'")
    check_shapes({"a": [2, 3], "b": (4,), "old": (1,)}, WANTED, "file 'x'", computed=(".window",), spare=("old",))


@pytest.mark.parametrize(
    ("found", "what"),
    [
        ({"b": (4,)}, "2 tensors are missing, the first is a"),
        ({**WANTED, "c": (1,), "d": (1,)}, "2 tensors are unexpected, the first is c"),
        ({**WANTED, "b": (3,)}, r"b has the shape \(3,\), expected \(4,\)"),
        ({**WANTED, "b.window": (3,)}, "b.window has the shape"),
    ],
)
def test_tensors_of_another_model_are_refused_by_name(found, what):
    """The file is named, too, and what to do."""
    with pytest.raises(CheckpointMismatch, match=what) as caught:
        check_shapes(found, WANTED, "file 'x'")
    assert (caught.value.who, caught.value.fix) == ("file 'x'", FIX)


@pytest.mark.parametrize("content", ["{", "[1]", b"\xff"])
def test_a_configuration_that_is_no_table_is_refused(tmp_path, content):
    """Whatever is wrong with it, the file is named."""
    path = tmp_path / "config.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(CheckpointCorrupt, match=r"config\.json"):
        read_json(path)


@pytest.mark.parametrize(
    ("read", "what"),
    [
        (lambda: {}["size"], "'size' is missing"),
        (lambda: int("wide"), "cannot be understood"),
        (lambda: supported({"act": "relu"}, {"bias": False, "act": "silu"}), "act is 'relu', only 'silu' is supported"),
    ],
)
def test_a_fault_in_an_entry_is_the_files(read, what):
    """Not a KeyError of the code that reads it."""
    with pytest.raises(CheckpointMismatch, match=what), understood("file 'config.json'"):
        read()


def test_a_note_says_which_configuration_it_is(tmp_path):
    """What it names is looked up; what nobody knows is refused with what there is."""
    path, known = tmp_path / NOTE, {"v1": 1, "v2": 2}
    path.write_text('{"configuration": "v2"}')
    assert noted(path, known.get, known) == 2
    path.write_text('{"configuration": "v9"}')
    with pytest.raises(CheckpointMismatch, match=r"'v9'") as caught:
        noted(path, known.get, known)
    assert (caught.value.who, caught.value.fix) == (f"file {NOTE!r}", "choose from v1, v2")
