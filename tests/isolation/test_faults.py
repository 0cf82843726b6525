"""Everything that can happen to a worker ends in a typed error, and the next request is served."""

import os
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from realtts import RealProvider, errors
from realtts.isolation import environments
from realtts.isolation.supervisor import BACK_OFF_S

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


@pytest.mark.full  # by default: test_killed_while_it_generates
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


@pytest.mark.parametrize("what", ["garbage", *(pytest.param(w, marks=pytest.mark.full) for w in ("large", "stranger"))])
def test_garbage_on_the_channel(rogue, what):
    """Bytes that are no frame, a frame that is too large, a frame without its fields: the worker is ended."""
    tts = rogue()
    with pytest.raises(errors.WorkerDied, match="sent garbage"):
        tts.generate("a b c", do=what, after=1)
    assert tts.generate("a b c").duration == pytest.approx(0.3)


@pytest.mark.parametrize("limit", ["worker_deadline_s", pytest.param("worker_silence_s", marks=pytest.mark.full)])
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
    monkeypatch.setattr("realtts.isolation.watchdog.CANCEL_GRACE_S", 0.5)
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


def test_rung_that_no_worker_survives(rogue):
    """One crash costs its request; after a second one in a row the same request is spoken on the next rung."""
    tts = rogue()
    with pytest.raises(errors.WorkerDied, match="SIGSEGV"):
        tts.generate("a b c", do="crash", after=1)
    assert tts.generate("a b c").duration == pytest.approx(0.3)
    with pytest.raises(errors.WorkerDied):
        tts.generate("a b c", do="crash", after=1)
    assert tts.generate("a b c", do="crash", after=1).duration == pytest.approx(0.3)
    status = tts.get_provider_status()
    assert (status["variant"], status["worker"]["deaths"], status["worker"]["starts"]) == ("plain", 3, 4)
    (attempt,) = status["attempts"]
    assert (attempt["rung"], attempt["stage"]) == ("optimized", "generate")
    assert attempt["exception"].endswith("WorkerDied")
    assert attempt["message"].startswith("twice in a row its worker ended (SIGSEGV) while generating")
    assert "a kernel went astray" in attempt["message"]
    assert "optimize=False" in attempt["remedy"]


@pytest.mark.full
def test_rung_that_no_worker_survives_while_it_streams(rogue):
    """Who has heard something gets `WorkerDied` as before; the next request takes the next rung."""
    tts = rogue()
    for _ in range(2):
        heard = []
        with pytest.raises(errors.WorkerDied), tts.stream("a b c d", do="crash", after=2) as stream:
            heard.extend(chunk.duration for chunk in stream)
        assert sum(heard) == pytest.approx(0.2)
    assert len(tts.get_provider_status()["attempts"]) == 1
    assert sum(chunk.duration for chunk in tts.stream("a b c d", do="crash")) == pytest.approx(0.4)


@pytest.mark.full  # by default: test_rung_that_no_worker_survives
def test_rung_that_no_worker_survives_while_it_loads(rogue, monkeypatch):
    """The second load goes on with the next rung."""
    monkeypatch.setenv("ROGUE_WARMUP", "1")
    tts = rogue()
    with pytest.raises(errors.WorkerDied, match=r"SIGSEGV.* while loading"):
        tts.load()
    assert tts.generate("a b c").duration == pytest.approx(0.3)
    status = tts.get_provider_status()
    assert status["variant"] == "plain"
    assert [(attempt["rung"], attempt["stage"]) for attempt in status["attempts"]] == [("optimized", "warmup")]


@pytest.mark.full  # `test_rung_that_no_worker_survives` has the rung above it by default
def test_last_rung_is_never_given_up(rogue):
    """However often workers die on it: each request gets its error, and one that is harmless is spoken."""
    tts = rogue()
    for _ in range(4):
        with pytest.raises(errors.WorkerDied):
            tts.generate("hello", do="die")
    assert tts.generate("hello").duration
    status = tts.get_provider_status()
    assert [attempt["rung"] for attempt in status["attempts"]] == ["optimized"]
    assert "memory ran out" in status["attempts"][0]["remedy"]
    assert status["attempts"][0]["retryable"]


@pytest.mark.full  # by default: test_rung_that_no_worker_survives, and strict in process
def test_strict_gives_no_rung_up(rogue):
    """Every death is its own error."""
    tts = rogue(strict=True)
    for _ in range(3):
        with pytest.raises(errors.WorkerDied):
            tts.generate("a b c", do="crash", after=1)
    assert tts.get_provider_status()["attempts"] == []


@pytest.mark.parametrize("end", ["unload", *(pytest.param(end, marks=pytest.mark.full) for end in ("idle", "killed"))])
def test_next_worker_runs_in_what_was_installed_meanwhile(install, until, tmp_path, end):
    """The worker that lives stays where it is; the one after it starts in the new environment."""
    data = install()
    with RealProvider("rogue", data_dir=data, idle_unload_s=0.5 if end == "idle" else 0.0) as tts:
        tts.generate("hello")
        old = Path(tts.get_provider_status()["worker"]["python"])
        described = data / "environments/rogue" / environments.FILE
        new = old.with_name("python-new")
        if not new.exists():
            new.symlink_to(old)
        described.write_text(described.read_text(encoding="utf-8").replace(str(old), str(new)), encoding="utf-8")
        if end == "unload":
            assert tts.generate("hello").duration
            assert Path(tts.get_provider_status()["worker"]["python"]) == old
            tts.unload()
        elif end == "killed":
            os.kill(pid_of(tts), signal.SIGKILL)
        until(lambda: pid_of(tts) is None or psutil.Process(pid_of(tts)).status() == psutil.STATUS_ZOMBIE)
        assert tts.generate("hello").duration
        assert Path(tts.get_provider_status()["worker"]["python"]) == new
        described.unlink()
        tts.unload()
        assert tts.generate("hello").duration  # nothing better is known


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


@pytest.mark.parametrize("doing", [pytest.param("idle", marks=pytest.mark.full), "hanging"])
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
    monkeypatch.setattr("realtts.isolation.supervisor.importlib_metadata.version", lambda _: "9.9.0")
    with pytest.raises(errors.IsolationError, match=r"this process has 9.9.0.*realtts install rogue --upgrade"):
        rogue().load()


@pytest.mark.full  # six workers; by default nothing waits
def test_deaths_in_a_row_are_waited_for(rogue, monkeypatch):
    """The pause before a new start grows with each death, and is gone after a request that went well."""
    slept = []
    monkeypatch.setattr("realtts.isolation.supervisor.BACK_OFF_S", BACK_OFF_S)
    tts = rogue(optimize=False)
    monkeypatch.setattr(tts._ladder._supervisor._closing, "wait", slept.append)
    for _ in range(3):
        with pytest.raises(errors.WorkerDied):
            tts.generate("hello", do="die")
    tts.generate("hello")
    with pytest.raises(errors.WorkerDied):
        tts.generate("hello", do="die")
    tts.generate("hello")
    assert slept == [0.0, 0.25, 0.5, 0.0]
