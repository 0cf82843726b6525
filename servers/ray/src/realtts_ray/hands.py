"""The workers of ``realtts batch --ray``: actors with a model each, whose audio comes back and is written here."""

from __future__ import annotations

import hashlib
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ray
from ray.exceptions import RayActorError, RayError, RayTaskError

from realtts.bulk.result import failed
from realtts.bulk.work import Done, Spoken, Task, make_provider, speak_task, store
from realtts.errors import ProviderClosed, RealTTSError, SettingsError, VoiceUnreadable, WorkerDied
from realtts.exception_text import describe_error

if TYPE_CHECKING:
    from collections.abc import Mapping
    from concurrent.futures import Future

    from ray import ObjectRef
    from ray.actor import ActorHandle

    from realtts.bulk import BulkJob
    from realtts.provider.facade import RealProvider

__all__ = ["RayHands", "hire"]

_MOST_DEATHS = 3
"""Workers that may die while they speak a row: after these the row is to blame."""

_WHO = "realtts batch --ray"


def hire(job: BulkJob, folder: Path, seed: int, rows: int) -> RayHands:
    """Start the workers of a job; the entry point ``ray`` of the group ``realtts.hands``.

    Args:
        job: What is spoken, by how many, and on which cluster.
        folder: The job's, on this machine.
        seed: The job's.
        rows: That each worker is given at a time.

    Raises:
        SettingsError: The cluster cannot be reached.
        RealTTSError: The provider cannot be loaded there.
    """
    return RayHands(job, folder, seed, rows)


class _Worker:
    """An actor with a model.

    Args:
        job: What is spoken.
        seed: The job's.
    """

    def __init__(self, job: BulkJob, seed: int) -> None:
        self._job, self._seed = job, seed
        self._tts: RealProvider = make_provider(job)
        self._recordings = Path(tempfile.mkdtemp(prefix="realtts-ray-"))

    def load(self) -> None:
        """Load the model."""
        self._tts.load()

    def speak(self, task: Task, recording: _Recording | None) -> Spoken:
        """Speak a row.

        Args:
            task: The row.
            recording: The voice to clone, which lies on the machine of the job; None: no recording.
        """
        job = self._job
        if recording is not None:
            path = self._recordings / recording.name
            if not path.exists():
                part = path.with_suffix(f".{threading.get_ident()}")
                part.write_bytes(recording.content)
                part.replace(path)
            task = replace(task, row=replace(task.row, voice=str(path), reference_text=recording.text))
        return speak_task(task, self._tts, job, self._seed)


@dataclass(frozen=True)
class _Recording:
    """A recording that is sent with a row."""

    name: str
    content: bytes
    text: str | None


class RayHands:
    """Workers on a cluster. One that dies is replaced, and its rows are spoken by others.

    Args:
        job: What is spoken, by how many, and on which cluster.
        folder: The job's, on this machine.
        seed: The job's.
        rows: That each worker is given at a time.

    Attributes:
        places: Rows that are worked on at a time.
    """

    def __init__(self, job: BulkJob, folder: Path, seed: int, rows: int) -> None:
        self.places = job.workers * rows
        self._job, self._folder, self._seed = job, folder, seed
        self._changed = threading.Condition()
        self._rows: dict[ActorHandle, int] = {}  # of the workers that have loaded the model
        self._all: set[ActorHandle] = set()
        self._fault: Exception | None = None
        self._has_loaded = False
        self._closing = False
        self._recordings: dict[str, ObjectRef[Any]] = {}
        self._own = _connect(job.ray or "auto")
        self._class = ray.remote(num_cpus=1, num_gpus=job.worker_gpus, max_concurrency=rows)(_Worker)
        self._pool = ThreadPoolExecutor(self.places, thread_name_prefix="realtts-ray")
        try:
            with self._changed:
                for _ in range(job.workers):
                    self._start()
                self._wait()  # a model that cannot be loaded is no fault of the first rows
        except BaseException:
            self.close(at_once=True)
            raise

    def submit(self, task: Task) -> Future[Done]:
        """Begin to work on a row."""
        return self._pool.submit(self._work, task)

    def close(self, *, at_once: bool) -> None:
        """End the workers; at once: give up what is being spoken."""
        if not at_once:
            self._pool.shutdown(wait=True)
        with self._changed:
            self._closing = True
            workers, self._all, self._rows = self._all, set(), {}
            self._changed.notify_all()
        for worker in workers:
            ray.kill(worker)
        self._pool.shutdown(wait=True, cancel_futures=True)
        if self._own:
            ray.shutdown()

    def _work(self, task: Task) -> Done:
        try:
            recording = self._recording(task)
        except VoiceUnreadable as error:
            return Done(failed(task.row, error), 0.0)
        for _ in range(_MOST_DEATHS):
            worker = self._borrow(task)
            try:
                spoken: Spoken = _get(worker.speak.remote(task, recording))
            except RayTaskError:  # of our own code there: it would come again
                raise
            except RayError:  # it died, or its machine did, or ran out of memory, or is out of reach
                self._replace(worker)
            else:
                self._give_back(worker)
                return store(spoken, self._folder)
        what = f"workers died {_MOST_DEATHS} times while it was spoken"
        fault = WorkerDied(what, who=f"row {task.row.number}", fix="speak it alone to see why")
        return Done(failed(task.row, fault), 0.0)

    def _borrow(self, task: Task) -> ActorHandle:
        """Return the worker that has the fewest rows, as soon as there is one."""
        with self._changed:
            self._wait()
            if self._closing:
                raise ProviderClosed("the job is being ended", who=f"row {task.row.number}")
            worker = min(self._rows, key=lambda each: self._rows[each])
            self._rows[worker] += 1
            return worker

    def _give_back(self, worker: ActorHandle) -> None:
        with self._changed:
            if worker in self._rows:
                self._rows[worker] -= 1

    def _replace(self, worker: ActorHandle) -> None:
        with self._changed:
            self._rows.pop(worker, None)
            if worker in self._all and not self._closing:
                self._all.remove(worker)
                ray.kill(worker)  # one that is only out of reach must not come back to keep the place
                self._start()

    def _wait(self) -> None:
        """Wait until a worker has loaded the model; others come when the cluster has room for them."""
        self._changed.wait_for(lambda: self._rows or self._closing or self._is_lost())
        if self._fault is not None and self._is_lost() and not self._rows:
            raise self._fault

    def _is_lost(self) -> bool:
        """Tell whether no worker will come: the first could not load the model, or the last one left could not."""
        return self._fault is not None and not (self._has_loaded and self._all)

    def _start(self) -> None:
        worker = self._class.remote(self._job, self._seed)
        self._all.add(worker)
        threading.Thread(target=self._load, args=(worker,), daemon=True, name="realtts-ray-load").start()

    def _load(self, worker: ActorHandle) -> None:
        """Take a worker in when it has loaded the model."""
        try:
            _get(worker.load.remote())
        except Exception as error:
            with self._changed:
                self._all.discard(worker)
                self._fault = _load_error(error)
                self._changed.notify_all()
            ray.kill(worker)  # it would keep its place from others that wait for one
            return
        with self._changed:
            if worker in self._all:
                self._rows[worker] = 0
                self._has_loaded = True
                self._changed.notify_all()

    def _recording(self, task: Task) -> ObjectRef[Any] | None:
        """Return the recording that a row clones and that lies on this machine, as the cluster's workers get it."""
        row, defaults = task.row, self._job.defaults
        voice = row.voice or defaults.voice
        text = row.reference_text or (None if row.voice else defaults.reference_text)
        path = _file(voice, defaults.folder if row.voice else None)
        if path is None:
            return None
        key = f"{path}\0{text}"
        with self._changed:
            if key not in self._recordings:
                content = _content(path, task)
                name = f"{hashlib.sha256(content).hexdigest()}{path.suffix}"
                self._recordings[key] = ray.put(_Recording(name, content, text))
            return self._recordings[key]


def _load_error(error: Exception) -> Exception:
    if isinstance(error, RayActorError):
        return WorkerDied("a worker died while it loaded the model", who=_WHO, fix="read Ray's logs of the worker")
    if isinstance(error, RealTTSError):
        return error
    what = f"a worker could not be started: {describe_error(error):.500}"
    return WorkerDied(what, who=_WHO, fix="read Ray's logs of the worker")


def _content(path: Path, task: Task) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        what = f"the recording {str(path)!r:.200} cannot be read: {error.strerror or error}"
        raise VoiceUnreadable(what, who=f"row {task.row.number}", fix="check who may read it") from error


def _file(voice: str | None, folder: str | None) -> Path | None:
    """Return the audio file that a voice means; None: it is a name."""
    for path in (Path(folder or "", voice), Path(voice)) if voice else ():
        try:
            if path.is_file():
                return path
        except (OSError, ValueError):  # a name that is no path
            continue
    return None


def _connect(address: str) -> bool:
    """Connect with a cluster; tell whether it was done here.

    Raises:
        SettingsError: It cannot be reached.
    """
    if ray.is_initialized():
        return False
    options: Mapping[str, Any] = {"include_dashboard": False} if address == "local" else {}
    try:
        ray.init(address=address, log_to_driver=False, **options)
    except (ConnectionError, ValueError, RuntimeError) as error:
        what = f"the cluster {address!r:.200} cannot be reached: {str(error).splitlines()[0] if str(error) else error}"
        fix = "give the address of its head, as 'ray start --head' shows it, or 'local'"
        raise SettingsError(what, who=_WHO, fix=fix) from error
    return True


def _get(reference: ObjectRef[Any]) -> Any:
    """Return what a worker says.

    Raises:
        RealTTSError: What the worker raised.
        RayActorError: It is dead.
    """
    try:
        return ray.get(reference)
    except RayTaskError as error:
        cause = error.cause
        raise (cause if isinstance(cause, RealTTSError) else error) from None
