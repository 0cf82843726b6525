"""Rows of every type that a dataset may hold: each is a row with audio or with an error, and its batch is one."""

from __future__ import annotations

import datetime
import decimal
import uuid

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest

from realtts.errors import OutputError
from realtts.testing import fake_spec
from realtts_ray import SpeechMapper
from realtts_ray.batches import row_id, spoken_ids


@pytest.fixture(scope="module")
def mapper():
    """Speaks with the fake provider."""
    return SpeechMapper(fake_spec(), seed=7)


class Unshowable:
    """A value whose text cannot be had."""

    def __repr__(self):
        raise ValueError("no")


TEXTS = [
    "Good.",
    5,
    None,
    b"Bytes.",
    b"\xff",
    ["a"],
    {"a": 1},
    1.5,
    float("nan"),
    "",
    "\ud800",
    object(),
    np.str_("Np."),
    np.array(["a"]),
    uuid.UUID(int=1),
    decimal.Decimal("1.5"),
    datetime.date(2026, 11, 30),
    Unshowable(),
    pd.NA,
    True,
]
RIGHT = {0, 3, 12}


@pytest.mark.parametrize("column", ["text", "voice", "id", "options", "speed", "seed", "language", "note"])
def test_values_of_every_type(mapper, column):
    """In any column: nothing that a cell holds stops the others."""
    rows = len(TEXTS)
    batch = {"text": ["Good."] * rows, column: TEXTS}
    result = mapper(batch)
    errors = result.column("error").to_pylist()
    assert result.num_rows == rows
    assert len(set(result.column("id").to_pylist()) - {""}) >= 1
    if column == "text":
        assert {number for number, error in enumerate(errors) if error is None} == RIGHT
    if column in {"id", "note"}:
        assert column == "id" or errors == [None] * rows
    bad = [number for number, error in enumerate(errors) if error]
    assert all(result.column("message")[number].as_py() for number in bad)
    assert all((result.column("audio")[number].as_py() is None) == (number in bad) for number in range(rows))


def test_the_good_rows_of_an_odd_batch_are_those_of_a_good_one(mapper):
    """Audio, seed and the types of all columns."""
    good = mapper(pa.table({"id": ["a", "b"], "text": ["One.", "Two."]}))
    odd = mapper({"id": ["a", 7, "b"], "text": ["One.", object(), "Two."]})
    for name in ("id", "audio", "seed"):
        assert [odd.column(name)[place].as_py() for place in (0, 2)] == good.column(name).to_pylist()
    assert {field.name: field.type for field in odd.schema} == {field.name: field.type for field in good.schema}


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (None, ""), (float("nan"), ""), ("", ""), (pd.NA, ""), (3.0, "3"), (np.int64(3), "3"), (b"a", "a"), ("a", "a"),
        (pd.NaT, ""), (np.float32("nan"), ""), (1.5, "1.5"),
    ],
)  # fmt: skip
def test_ids_of_every_type(value, name):
    """As the results have them; what is none is none."""
    assert row_id({"id": value, "text": "x"}) == name


def test_rows_without_an_id_have_one_of_their_text(mapper):
    """Also where a missing one is NaN, as it is among numbers."""
    batches = [
        {"text": ["One.", "Two."]},
        {"text": ["One.", "Two."], "id": np.array([np.nan, np.nan])},
        pd.DataFrame({"text": ["One.", "Two."], "id": [None, None]}),
        pa.table({"text": ["One.", "Two."], "id": pa.nulls(2)}),
    ]
    ids = [mapper(batch).column("id").to_pylist() for batch in batches]
    assert len(set(ids[0])) == 2
    assert ids == [ids[0]] * 4


@pytest.mark.parametrize(
    "column",
    [
        pa.array([[("loudness", 0.2)], []], pa.map_(pa.string(), pa.float64())),
        pa.array([{"loudness": 0.2, "other": None}, {"loudness": None, "other": None}]),
        pa.array(['{"loudness": 0.2}', None]),
    ],
    ids=["map", "struct", "JSON"],
)
def test_options_as_arrow_has_them(mapper, column):
    """A name without a value is an option that is not given."""
    result = mapper(pa.table({"id": ["a", "b"], "text": ["One.", "One."], "options": column})).to_pylist()
    assert [row["error"] for row in result] == [None, None]
    plain = mapper(pa.table({"id": ["a", "b"], "text": ["One.", "One."]})).to_pylist()
    assert [row["audio"] == bare["audio"] for row, bare in zip(result, plain, strict=True)] == [False, True]


@pytest.mark.parametrize("name", ["seed", "voice", "priority", "text", "self", "voice_path"])
def test_arguments_are_no_options(mapper, name):
    """They would be given twice."""
    result = mapper({"text": ["Good.", "Good."], "options": [{name: "x"}, None]})
    assert result.column("error").to_pylist() == ["InvalidOption", None]


def test_a_wrong_format_is_no_fault_of_the_rows():
    """It is refused before a model is loaded."""
    with pytest.raises(OutputError, match="wave"):
        SpeechMapper(fake_spec(), format="wave")


def test_an_empty_batch(mapper):
    """Has no rows, and the columns of any other."""
    result = mapper(pa.table({"text": pa.array([], pa.string())}))
    assert result.num_rows == 0
    assert result.schema.field("audio").type == pa.binary()


@pytest.mark.parametrize("spoil", [b"", b"PAR1", b"PAR1 torn", b"\0" * 100])
def test_what_was_spoken_before(mapper, tmp_path, spoil):
    """A file whose writer was killed, or is another's, is passed over; a folder that is empty or missing holds none."""
    assert spoken_ids(str(tmp_path / "missing")) == spoken_ids(str(tmp_path)) == frozenset()
    (tmp_path / "part").mkdir()
    table = mapper({"id": ["a", "b", 3], "text": ["One.", "", "Three."]})
    pyarrow.parquet.write_table(table, tmp_path / "part" / "1.parquet")
    pyarrow.parquet.write_table(pa.table({"x": [1]}), tmp_path / "2.parquet")
    (tmp_path / "3.parquet").write_bytes(spoil)
    (tmp_path / "_SUCCESS").touch()
    assert spoken_ids(str(tmp_path)) == {"a", "3"}
