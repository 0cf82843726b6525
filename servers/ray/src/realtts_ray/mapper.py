"""Speaking the rows of a Ray dataset: audio, timings, metrics or an error for each."""

from __future__ import annotations

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import ray.data

from realtts import RealProvider
from realtts.audio.formats import by_name
from realtts.bulk import BadRow, Defaults, make_row, speak_row
from realtts.exception_text import exception_message
from realtts_ray.batches import Rows, row_id, spoken_ids

if TYPE_CHECKING:
    from collections.abc import Mapping

    from realtts import ProviderSpec, Speech

__all__ = ["SpeechMapper", "speak_dataset"]

_ROWS = 8
"""Rows that a model is given at a time; one that speaks them one by one lets the others wait."""

_MARK = pa.struct(
    [
        ("kind", pa.string()),
        ("name", pa.string()),
        ("start", pa.float64()),
        ("end", pa.float64()),
        ("span", pa.list_(pa.int64(), 2)),
    ]
)
_RESULT = pa.schema(
    [
        ("id", pa.string()),
        ("audio", pa.binary()),
        ("sample_rate", pa.int64()),
        ("duration_s", pa.float64()),
        ("seed", pa.int64()),
        ("provider", pa.string()),
        ("finish_reason", pa.string()),
        ("warnings", pa.list_(pa.string())),
        ("marks", pa.list_(_MARK)),
        ("metrics", pa.string()),
        ("error", pa.string()),
        ("message", pa.string()),
    ]
)


class SpeechMapper:
    """A callable for `ray.data.Dataset.map_batches` that speaks every row of a batch.

    Columns that mean something are those of ``realtts batch``: text, id, voice, reference_text, language, speed, seed,
    normalize, check_words, timestamps, options and ``options.NAME``. Columns stay, and these come: ``audio`` (bytes of
    a file), ``sample_rate`` in Hz, ``duration_s``, ``seed`` and ``provider`` that it was spoken with,
    ``finish_reason``, ``warnings``, ``marks`` (timings in seconds with their place in the text), ``metrics`` as JSON,
    and after an error ``error``, its class, and ``message``. A row that cannot be spoken harms no other.

    A row that has no ``id`` is given one that follows from its text. With the same seed and ids, audio is that of
    ``realtts batch``, whatever batches the rows come in.

    Args:
        provider: Name of the provider, or its spec; None: the default one.
        model: Checkpoint name, hub id or local folder.
        seed: From which the rows' seeds are derived, together with their ids.
        defaults: What holds for rows that do not say otherwise.
        format: Of the audio.
        concurrency: Rows that the model is given at a time; None: the setting ``max_batch``, else 8.
        settings: Further settings of the provider.

    Raises:
        OutputError: There is no such format.
        RealTTSError: The provider cannot be loaded.
    """

    def __init__(
        self,
        provider: str | ProviderSpec | None = None,
        *,
        model: str | None = None,
        seed: int = 0,
        defaults: Defaults | None = None,
        format: str = "wav",  # noqa: A002 - the word users know
        concurrency: int | None = None,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        by_name(format)
        self._tts = RealProvider(provider, model=model, **(settings or {}))
        self._tts.load()
        self._seed, self._defaults, self._format = seed, defaults or Defaults(), format
        places = concurrency or self._tts.settings.max_batch or _ROWS
        self._pool = ThreadPoolExecutor(places, thread_name_prefix="realtts-ray")

    def __call__(self, batch: pa.Table | Mapping[str, Any]) -> pa.Table:
        """Speak a batch.

        Args:
            batch: A table of Arrow, or arrays by column.

        Returns:
            Its rows in their order, with the columns that come.
        """
        rows = Rows(batch)
        results = list(self._pool.map(self._speak, rows))
        columns = {name: rows.column(name) for name in rows.names if name not in _RESULT.names}
        for field in _RESULT:
            columns[field.name] = pa.array([result.get(field.name) for result in results], field.type)
        return pa.table(columns)

    def _speak(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the columns that come for a row. Nothing that a row holds may stop the others."""
        name = ""
        try:
            name = row_id(values) or _text_id(values)
            row = make_row(1, {**values, "id": name})
            if isinstance(row, BadRow):
                return _failed(row.id, row.error)
            speech = speak_row(self._tts, row, self._defaults, self._seed)
            return {"id": row.id, **_columns(speech, speech.encode(self._format))}
        except Exception as error:
            return _failed(name, error)


def speak_dataset(
    dataset: ray.data.Dataset,
    provider: str | ProviderSpec | None = None,
    *,
    actors: int | tuple[int, int] = 1,
    num_cpus: float = 1.0,
    num_gpus: float = 0.0,
    batch_size: int = 32,
    spoken: str | None = None,
    **arguments: Any,
) -> ray.data.Dataset:
    """Speak a dataset with a pool of actors, which have a model each; Ray replaces those that die.

    Args:
        dataset: Its rows are as `SpeechMapper` takes them.
        provider: Name of the provider, or its spec; None: the default one.
        actors: How many, or the fewest and the most.
        num_cpus: CPU cores of each.
        num_gpus: GPUs of each.
        batch_size: Rows of a batch. What an actor had not finished when it died is spoken again.
        spoken: Folder of Parquet files that an earlier run of the same job wrote: rows whose ids stand there without an
            error are left out; those without an ``id`` are spoken again. A folder that is not there holds none, and a
            file that was not written to its end is passed over.
        **arguments: Further arguments of `SpeechMapper`.

    Returns:
        The dataset that speaks when it is read or written.
    """
    done = spoken_ids(spoken) if spoken is not None else None
    smallest, largest = (actors, actors) if isinstance(actors, int) else actors
    return dataset.map_batches(
        SpeechMapper if done is None else _RestMapper,
        fn_constructor_args=(provider,) if done is None else (ray.put(done), provider),
        fn_constructor_kwargs=arguments,
        batch_format="pyarrow",
        batch_size=batch_size,
        compute=ray.data.ActorPoolStrategy(min_size=smallest, max_size=largest),
        num_cpus=num_cpus,
        num_gpus=num_gpus,
    )


class _RestMapper(SpeechMapper):
    """A mapper that leaves out rows that were spoken before.

    Args:
        done: Their ids, in Ray's store.
        *arguments: Of the mapper.
        **settings: Of the mapper.
    """

    def __init__(self, done: ray.ObjectRef[frozenset[str]], *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self._done: frozenset[str] = ray.get(done)

    def __call__(self, batch: pa.Table | Mapping[str, Any]) -> pa.Table:
        """Speak what is left of a batch."""
        rows = Rows(batch)
        return super().__call__(rows.only([row_id(values) not in self._done for values in rows]))


def _text_id(values: Mapping[str, Any]) -> str:
    """Return an id that follows from a row's text: its place in the whole dataset is not known here."""
    return hashlib.sha256(repr(values.get("text")).encode("utf-8", "backslashreplace")).hexdigest()[:16]


def _columns(speech: Speech, audio: bytes) -> dict[str, Any]:
    return {
        "audio": audio,
        "sample_rate": speech.sample_rate,
        "duration_s": speech.duration,
        "seed": speech.seed,
        "provider": speech.provider,
        "finish_reason": speech.finish_reason,
        "warnings": list(speech.warnings),
        "marks": [{**asdict(mark), "span": list(mark.span)} for mark in speech.marks],
        "metrics": json.dumps(speech.metrics.as_dict(), default=str),
    }


def _failed(name: str, error: BaseException) -> dict[str, Any]:
    # A name or a message may hold half a surrogate pair, which Arrow cannot carry.
    texts = {"id": name, "error": type(error).__name__, "message": exception_message(error)}
    return {field: text.encode("utf-8", "backslashreplace").decode() for field, text in texts.items()}
