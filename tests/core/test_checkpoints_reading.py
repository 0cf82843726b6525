"""What a checkpoint's files hold is read, or refused by name."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from realtts import CheckpointCorrupt, CheckpointMismatch
from realtts.contract.spec import Checkpoint
from realtts.kit.entries import check_supported, reading_entries
from realtts.kit.reading import (
    FIX,
    NOTE,
    by_any_name,
    check_shapes,
    configuration_of,
    noted_configuration,
    read_json,
)


@dataclass(frozen=True)
class Plain:
    """A configuration that its authors call by no name of their own."""

    name: str
    source: str = ""


@dataclass(frozen=True)
class Renamed(Plain):
    """One that they do."""

    upstream: str = ""


CONFIGURATIONS = {
    each.name: each
    for each in (
        Plain("v1", "owner/Model"),
        Plain("v2", "owner/Model"),
        Renamed("own-base", "owner/Own", "OWN_v1_Base"),
        Renamed("own-small", upstream="OWN_v1_Small"),
    )
}

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
        (
            lambda: check_supported({"act": "relu"}, {"bias": False, "act": "silu"}),
            "act is 'relu', only 'silu' is supported",
        ),
    ],
)
def test_a_fault_in_an_entry_is_the_files(read, what):
    """Not a KeyError of the code that reads it."""
    with pytest.raises(CheckpointMismatch, match=what), reading_entries("file 'config.json'"):
        read()


def test_a_note_says_which_configuration_it_is(tmp_path):
    """What it names is looked up; what nobody knows is refused with what there is."""
    path = tmp_path / NOTE
    path.write_text('{"configuration": "v2"}')
    assert noted_configuration(path, CONFIGURATIONS) is CONFIGURATIONS["v2"]
    path.write_text('{"configuration": "v9"}')
    with pytest.raises(CheckpointMismatch, match=r"'v9'") as caught:
        noted_configuration(path, CONFIGURATIONS)
    assert (caught.value.who, caught.value.fix) == (f"file {NOTE!r}", "choose from v1, v2, own-base, own-small")


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("v2", "v2"),
        (" V2 ", "v2"),
        ("OWN_BASE", "own-base"),
        ("own-v1-small", "own-small"),
        ("Owner/model", "v1"),
        ("owner/own", "own-base"),
        ("Model", None),
        ("../v2", None),
        ("", None),
        (None, None),
    ],
)
def test_a_configuration_has_three_names(name, wanted):
    """Ours, upstream's and the hub id, whatever the case; of those that share one it is the first."""
    assert by_any_name(name, CONFIGURATIONS) is (None if wanted is None else CONFIGURATIONS[wanted])


@pytest.mark.parametrize(
    ("checkpoint", "wanted"),
    [
        (Checkpoint("v2", source="owner/Model"), "v2"),
        (Checkpoint("owner/model@main", source="owner/model", revision="main"), "v1"),
        (Checkpoint("own-small"), "own-small"),
        (Checkpoint("somebody/model", source="somebody/model"), None),
        (Checkpoint("without"), None),
        (None, None),
    ],
    ids=str,
)
def test_what_the_spec_lists_is_known(checkpoint, wanted):
    """By its name, for several may share a repository; else by the repository."""
    assert configuration_of(checkpoint, CONFIGURATIONS) is (None if wanted is None else CONFIGURATIONS[wanted])


def test_a_folder_is_not_known_by_its_name(tmp_path):
    """Its files must tell."""
    assert configuration_of(Checkpoint("v2", path=tmp_path), CONFIGURATIONS) is None
