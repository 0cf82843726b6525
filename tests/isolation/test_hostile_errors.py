"""What a plugin raises in a worker, and limits and ends of the provider there."""

import sys
import threading

import psutil
import pytest

from realtts import RealProvider, errors

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="it ends processes by signals")

MORE_ODD = ("panic", "huge", "surrogate", "generator")
"""By default `tests/core/test_hostile_errors.py` raises such ones in process."""


@pytest.fixture(scope="module")
def tts(install):
    """The badly behaved plugin in a worker that these tests share."""
    with RealProvider("rogue", data_dir=install()) as provider:
        yield provider


@pytest.mark.parametrize(
    "odd", ["speechless", "exit", *(pytest.param(odd, marks=pytest.mark.full) for odd in MORE_ODD)]
)
def test_exceptions_that_are_hard_to_show(tts, odd):
    """They close the rung in the worker as in process; the worker goes on, and the next rung speaks."""
    tts.unload()
    assert tts.generate("a b", odd=odd).duration == pytest.approx(0.2)
    status = tts.get_provider_status()
    assert (status["variant"], status["worker"]["deaths"]) == ("plain", 0)
    (attempt,) = status["attempts"]
    assert attempt["message"]
    assert attempt["remedy"]
    assert len(attempt["message"]) < 3000


def test_interrupt_ends_the_worker(tts):
    """Nobody pressed a key there: the caller's program goes on, and another worker serves the next request."""
    tts.unload()
    with pytest.raises(errors.WorkerDied):
        tts.generate("a b", odd="interrupt")
    assert tts.get_provider_status()["attempts"] == []
    assert tts.generate("a b").duration


def test_request_has_a_limit(rogue):
    """The caller is told in time though the worker hears nothing; the worker that heeds nothing is ended later."""
    tts = rogue(request_timeout_s=1.0)
    tts.load()
    with pytest.raises(errors.RequestTimeout):
        tts.generate("a b c", do="hang", after=1)


def test_closing_ends_a_load(rogue, monkeypatch, tmp_path):
    """A provider that is closed while its worker starts or loads does not wait for it."""
    tts = rogue()
    failed = []

    def load():
        try:
            tts.load()
        except errors.RealTTSError as error:
            failed.append(error)

    thread = threading.Thread(target=load)
    thread.start()
    while tts.get_provider_status()["state"] != "loading":
        pass
    tts.close()
    thread.join(20)
    assert not thread.is_alive()
    assert isinstance(failed[0], errors.ProviderClosed) if failed else True


def test_finished_request_is_let_go(tts):
    """The parent keeps neither texts nor recordings of a request that is over."""
    tts.unload()
    tts.generate("a b")
    worker = tts._ladder._supervisor.worker
    assert psutil.pid_exists(worker.pid)
    assert worker._outbox._rows == {}
