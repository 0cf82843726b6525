"""Everything that can happen to a worker ends in a typed error, and the next request is served."""

import os
import random
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from realtts import RealProvider, errors

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="it ends processes by signals")


def pid_of(tts):
    """The worker's process."""
    return tts.get_provider_status()["worker"]["pid"]


def test_killed_while_it_loads(rogue, tmp_path, monkeypatch):
    """The request gets `WorkerDied` with the last words; the next one loads anew."""
    flag = tmp_path / "flag"
    flag.touch()
    monkeypatch.setenv("ROGUE_LOAD", str(flag))
    tts = rogue()
    with pytest.raises(errors.WorkerDied, match=r"SIGKILL.* while loading") as caught:
        tts.load()
    assert caught.value.stderr[-1] == "these are my last words"
    assert caught.value.exit_code == -signal.SIGKILL
    assert tts.get_provider_status()["state"] == "failed"
    assert tts.generate("hello").duration == pytest.approx(0.1)
    assert tts.get_provider_status()["attempts"] == []


def test_killed_while_it_generates(rogue):
    """Only the request that was running is lost; one that waits goes on."""
    tts = rogue()
    tts.load()
    with ThreadPoolExecutor(4) as pool:
        doomed = pool.submit(tts.generate, "a b c", do="die", after=1)
        others = [pool.submit(tts.generate, "a b c") for _ in range(3)]
        with pytest.raises(errors.WorkerDied, match="while generating; these are my last words"):
            doomed.result()
        assert [other.result().duration for other in others] == pytest.approx([0.3] * 3)
    worker = tts.get_provider_status()["worker"]
    assert (worker["starts"], worker["deaths"]) == (2, 1)
    assert "SIGKILL" in worker["last_death"]


def test_killed_while_it_streams(rogue):
    """The reader gets what came before, then the error."""
    tts = rogue()
    heard = []
    with pytest.raises(errors.WorkerDied), tts.stream("a b c d", do="die", after=2) as stream:
        heard.extend(chunk.duration for chunk in stream)
    assert sum(heard) == pytest.approx(0.2)
    assert sum(chunk.duration for chunk in tts.stream("a b c d")) == pytest.approx(0.4)


def test_killed_while_idle_costs_nothing(rogue, until):
    """A worker that ends between requests is replaced without an error."""
    tts = rogue()
    tts.generate("hello")
    os.kill(pid_of(tts), signal.SIGKILL)
    until(lambda: psutil.Process(pid_of(tts)).status() == psutil.STATUS_ZOMBIE)
    assert tts.generate("hello").duration
    assert tts.get_provider_status()["worker"]["deaths"] == 1


def test_what_packages_print_harms_nothing(rogue):
    """Standard output is not the channel."""
    assert rogue().generate("a b c", do="print", after=1).duration == pytest.approx(0.3)


@pytest.mark.parametrize("what", ["garbage", "large", "stranger"])
def test_garbage_on_the_channel(rogue, what):
    """Bytes that are no frame, a frame that is too large, a frame without its fields: the worker is ended."""
    tts = rogue()
    with pytest.raises(errors.WorkerDied, match="sent garbage"):
        tts.generate("a b c", do=what, after=1)
    assert tts.generate("a b c").duration == pytest.approx(0.3)


@pytest.mark.parametrize("limit", ["worker_deadline_s", "worker_silence_s"])
def test_hanging_worker_is_ended(rogue, limit):
    """At its limit; the error names the setting."""
    tts = rogue(**{limit: 5.0})
    tts.load()
    with pytest.raises(errors.WorkerDied, match=f"{limit}=5") as caught:
        tts.generate("a b c", do="hang", after=1)
    assert limit in caught.value.fix
    assert tts.generate("a b c").duration == pytest.approx(0.3)


def test_hanging_worker_is_ended_by_cancelling(rogue, until, monkeypatch, caplog):
    """A worker that heeds no cancellation is ended: `cancel` helps where in process nothing does."""
    monkeypatch.setattr("realtts.isolation.calls.CANCEL_GRACE_S", 0.5)
    tts = rogue()
    tts.load()
    with ThreadPoolExecutor(1) as pool:
        hanging = pool.submit(tts.generate, "a b c", do="hang", after=1)
        until(lambda: "hanging" in caplog.text)  # what is cancelled earlier is heeded
        tts.cancel()
        with pytest.raises(errors.WorkerDied, match="heeded no cancellation"):
            hanging.result()
    assert tts.generate("a b c").duration == pytest.approx(0.3)


def test_swelling_worker_is_ended(rogue):
    """Above the limit of its memory."""
    tts = rogue(worker_memory_mb=300)
    with pytest.raises(errors.WorkerDied, match="worker_memory_mb=300"):
        tts.generate("a b c", do="swell")
    assert tts.generate("a b c").duration == pytest.approx(0.3)


def test_poisoned_worker_is_replaced(rogue):
    """After a CUDA error that nothing survives, the next rung is loaded by another process, for the same request."""
    tts = rogue()
    tts.load()
    first = pid_of(tts)
    assert tts.generate("a b c", do="poison").duration == pytest.approx(0.3)
    status = tts.get_provider_status()
    assert (status["variant"], status["worker"]["starts"], status["worker"]["deaths"]) == ("plain", 2, 0)
    assert pid_of(tts) != first
    assert [attempt["rung"] for attempt in status["attempts"]] == ["optimized"]
    assert "illegal memory access" in status["attempts"][0]["message"]


def test_no_descriptor_and_no_thread_is_lost(rogue):
    """After many requests and some deaths there are as many as before."""
    tts = rogue()

    def spend():
        tts.generate("hello")
        for _ in range(25):
            tts.generate("a b")
            list(tts.stream("a b"))
        with pytest.raises(errors.WorkerDied):
            tts.generate("a b", do="die")
        tts.generate("hello")

    spend()
    before = psutil.Process().num_fds(), threading.active_count()
    spend()
    assert (psutil.Process().num_fds(), threading.active_count()) == before


@pytest.mark.parametrize("requests", [40, pytest.param(500, marks=pytest.mark.slow)])
def test_random_kills(rogue, requests):
    """Every request is answered, or fails with the typed error, and nothing is left behind."""
    tts, chance = rogue(), random.Random(1)
    tts.load()

    def kill():
        if (pid := pid_of(tts)) is not None:
            os.kill(pid, signal.SIGKILL)

    answered = died = 0
    for number in range(requests):
        killer = threading.Timer(chance.uniform(0.0, 0.05), kill)
        if chance.random() < 0.25:
            killer.start()
        try:
            if number % 2:
                seconds = sum(chunk.duration for chunk in tts.stream("a b c " * 50))
            else:
                seconds = tts.generate("a b c " * 50).duration
            assert seconds == pytest.approx(15.0)
            answered += 1
        except errors.WorkerDied:
            died += 1
        finally:
            killer.cancel()
    assert answered + died == requests
    assert answered
    assert tts.get_provider_status()["worker"]["deaths"] >= died > 0
    assert tts.generate("hello").duration == pytest.approx(0.1)


@pytest.mark.parametrize("doing", ["idle", "hanging"])
def test_parent_killed(install, until, doing):
    """A worker ends with its parent, whatever it is doing."""
    program = textwrap.dedent(f"""
        import sys, threading, time
        from realtts import RealProvider
        tts = RealProvider("rogue", data_dir={str(install())!r})
        tts.generate("hello")
        if {doing == "hanging"}:
            threading.Thread(target=lambda: tts.generate("hello", do="hang"), daemon=True).start()
            time.sleep(0.5)
        print(tts.get_provider_status()["worker"]["pid"], flush=True)
        time.sleep(600)
    """)
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as parent:
        worker = int(parent.stdout.readline())
        assert psutil.pid_exists(worker)
        parent.kill()
    until(lambda: not psutil.pid_exists(worker) or psutil.Process(worker).status() == psutil.STATUS_ZOMBIE)


def test_parent_that_just_ends(install, until):
    """A program that forgets to close leaves nothing behind."""
    program = f"""
from realtts import RealProvider
tts = RealProvider("rogue", data_dir={str(install())!r})
tts.generate("hello")
print(tts.get_provider_status()["worker"]["pid"], flush=True)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stderr == "weights are old\n"  # what the plugin logs, and nothing else
    until(lambda: not psutil.pid_exists(int(done.stdout)))


def test_worker_that_cannot_start(install):
    """An interpreter that is gone, or has no realtts: an error that gives the command."""
    for interpreter, what in (("/nowhere/python", "cannot be started"), (shutil.which("false"), "does not start")):
        tts = RealProvider("rogue", data_dir=install(interpreter=Path(interpreter)))
        with tts, pytest.raises(errors.IsolationError, match=rf"{what}.*realtts install rogue"):
            tts.load()


def test_worker_of_another_core(rogue, monkeypatch):
    """Both versions are named."""
    monkeypatch.setattr("realtts.isolation.remote.importlib_metadata.version", lambda _: "9.9.0")
    with pytest.raises(errors.IsolationError, match=r"this process has 9.9.0.*realtts install rogue --upgrade"):
        rogue().load()


def test_deaths_in_a_row_are_waited_for(rogue, monkeypatch):
    """The pause before a new start grows with each death, and is gone after a request that went well."""
    slept = []
    monkeypatch.setattr("realtts.isolation.remote.time", SimpleNamespace(sleep=slept.append))
    tts = rogue()
    for _ in range(3):
        with pytest.raises(errors.WorkerDied):
            tts.generate("hello", do="die")
    tts.generate("hello")
    with pytest.raises(errors.WorkerDied):
        tts.generate("hello", do="die")
    tts.generate("hello")
    assert slept == [0.0, 0.25, 0.5, 0.0]
