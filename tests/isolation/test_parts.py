"""The parts of isolation, each alone: frames, specs as JSON, errors on their way, environments, the choice."""

import json
import pickle
import socket
import struct
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from pydantic import Field

from realtts import Checkpoint, Environment, Options, RealProvider, Voice, errors
from realtts.cli.discovery import list_providers
from realtts.cli.findings import problems
from realtts.isolation import environments
from realtts.isolation.watchdog import CANCEL_GRACE_S, Limits, Watchdog
from realtts.ladder.failures import StageError
from realtts.synthesis.validate import check_options, options_class
from realtts.testing import fake_spec
from realtts.wire.calls import GiveUp, Reply, call_from_json
from realtts.wire.channel import MOST_BYTES, PROTOCOL, Channel, ChannelClosed, ChannelFault, Kind, OtherProtocol
from realtts.wire.faults import ErrorMessage, FailureMessage, ForeignError, destroys_context
from realtts.wire.messages import ChunkMessage, VoiceMessage, from_json, samples_from_bytes, samples_to_bytes, to_json
from realtts.wire.specs import spec_from_json, spec_to_json

QUIET = {
    "torch": {"installed": True, "error": None},
    "gpus": [],
    "audio": {"error": None, "mp3": True, "opus": True},
    "settings": {"error": None},
    "disk": {"writable": True},
    "extensions": [],
}
"""What a doctor finds that has nothing to say."""


@pytest.fixture
def pair():
    """Two ends of a socket: a channel and the raw other side."""
    ours, theirs = socket.socketpair()
    channel = Channel(ours)
    yield channel, theirs
    channel.close()
    theirs.close()


def test_frame_arrives_whole(pair):
    """JSON with every kind of character, and samples bit for bit; a part that came early is kept."""
    channel, other = pair
    samples = np.random.default_rng(0).standard_normal(5000).astype(np.float32)
    received = Channel(other.dup())
    channel.send(Kind.CHUNK, {"text": "ä\udc80\n\0"}, samples_to_bytes(samples))
    frame = received.receive(1.0)
    assert (frame.kind, frame.content) == (Kind.CHUNK, {"text": "ä\udc80\n\0"})
    np.testing.assert_array_equal(samples_from_bytes(frame.data), samples)
    assert received.receive(0.01) is None
    other.sendall(head := struct.pack("!4sBBxxII", b"rtts", PROTOCOL, 2, 2, 0)[:9])
    assert channel.receive(0.01) is None
    other.sendall(struct.pack("!4sBBxxII", b"rtts", PROTOCOL, 2, 2, 0)[len(head) :] + b"{")
    assert channel.receive(0.01) is None
    other.sendall(b"}")
    assert channel.receive(1.0).content == {}
    received.close()
    other.close()
    with pytest.raises(ChannelClosed):
        channel.receive(1.0)


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"Traceback (most recent call last)", ChannelFault),
        (struct.pack("!4sBBxxII", b"rtts", PROTOCOL + 1, 2, 2, 0), OtherProtocol),
        (struct.pack("!4sBBxxII", b"rtts", PROTOCOL, 99, 2, 0), ChannelFault),
        (struct.pack("!4sBBxxII", b"rtts", PROTOCOL, 2, 2**31, 0), ChannelFault),
        (struct.pack("!4sBBxxII", b"rtts", PROTOCOL, 2, 2, 2**31), ChannelFault),
        (struct.pack("!4sBBxxII", b"rtts", PROTOCOL, 2, 2, 0) + b"no", ChannelFault),
        (struct.pack("!4sBBxxII", b"rtts", PROTOCOL, 2, 2, 0) + b"[]", ChannelFault),
    ],
    ids=["text", "version", "kind", "json too large", "bytes too large", "no json", "no object"],
)
def test_what_is_no_frame_is_refused(pair, content, error):
    """Before anything is allocated for it."""
    channel, other = pair
    other.sendall(content)
    with pytest.raises(error):
        channel.receive(1.0)


def test_too_large_is_not_sent(pair):
    """The sender finds out first."""
    with pytest.raises(ChannelFault, match="too large"):
        pair[0].send(Kind.CHUNK, {}, bytes(MOST_BYTES + 1))


def travelled(message):
    """The content of a message's frame as it arrives."""
    return json.loads(json.dumps(to_json(message)))


def test_recording_keeps_its_digest():
    """The key of every cache is the same on both sides."""
    voice = Voice(np.linspace(-1, 1, 999, dtype=np.float32), 22050, "words", "a name")
    again = from_json(VoiceMessage, travelled(VoiceMessage.of(voice))).voice(bytearray(samples_to_bytes(voice.samples)))
    assert (again.digest, again.name) == (voice.digest, "a name")


def test_newer_fields_are_left_out():
    """A worker of a newer patch release may say more; what misses a field or has a wrong type is refused."""
    failure = StageError("generate", ValueError("no"), 0.5)
    call = GiveUp(FailureMessage.of(failure))
    assert call_from_json({**travelled(call), "new": 1}) == call
    again = call.failure.failure()
    assert (again.stage, again.seconds, str(again.error)) == ("generate", 0.5, "no")
    with pytest.raises(StageError):
        from_json(Reply, {**travelled(Reply(failure=call.failure)), "new": 1}).check()
    for content in ({}, {"call": "explode"}, {"call": "give_up"}, {"call": "load", "begin": "perhaps", "log_level": 1}):
        with pytest.raises(ValueError):
            call_from_json(content)
    with pytest.raises(ValueError):
        from_json(ChunkMessage, {"row": 0, "sample_rate": "fast"})


class ManyOptions(Options):
    """Options of every kind."""

    count: int = Field(3, ge=1, le=9, description="How many.")
    share: float | None = Field(None, gt=0, lt=1)
    word: Literal["one", "two"] = "one"
    maybe: Literal["x"] | None = None
    names: tuple[str, ...] = ()
    pair: tuple[int, float] = (1, 2.0)
    weights: dict[str, float] = Field(default_factory=dict)
    name: str = Field("", max_length=4, pattern="^[a-z]*$")
    flag: bool = False
    needed: int = Field(description="Must be there.")
    cap: int | None = None

    length_limits = frozenset({"cap"})


SPEC = fake_spec(
    options=f"{__name__}:ManyOptions",
    checkpoints=[Checkpoint("tiny", "owner/name", files=("a", ("b", None)), size_bytes=5, revision="abc")],
    environment=Environment(python=">=3.10", requirements=("torch>=2",), overrides=("x==1",), exclude=("gradio",)),
    max_chars=200,
)


@pytest.fixture
def read(monkeypatch):
    """The spec after a journey through JSON, as a process without the plugin reads it."""
    monkeypatch.setitem(__import__("sys").modules, SPEC.options.partition(":")[0], __import__("sys").modules[__name__])
    return spec_from_json(json.loads(json.dumps(spec_to_json(SPEC))))


def test_spec_comes_back(read):
    """Every field is equal; the options alone are another class."""
    assert replace(read, options=None) == replace(SPEC, options=None)
    assert options_class(read).length_limits == {"cap"}
    installed = spec_from_json(spec_to_json(SPEC), installed=True)
    assert installed == SPEC


@pytest.mark.parametrize(
    "options",
    [
        {"needed": 1},
        {"needed": 1, "count": 10},
        {"needed": 1, "count": "many"},
        {"needed": 1, "count": 2.5},
        {"needed": 1, "share": 1.0},
        {"needed": 1, "share": float("nan")},
        {"needed": 1, "word": "three"},
        {"needed": 1, "maybe": "y"},
        {"needed": 1, "names": ["a", "b"]},
        {"needed": 1, "names": [1]},
        {"needed": 1, "pair": [3, 4.5]},
        {"needed": 1, "pair": [3]},
        {"needed": 1, "weights": {"a": 0.5}},
        {"needed": 1, "name": "abcde"},
        {"needed": 1, "name": "A"},
        {"needed": 1, "flag": "perhaps"},
        {},
        {"needed": 1, "cuont": 3},
    ],
    ids=str,
)
def test_options_are_checked_alike(read, options):
    """The class made from the schema takes and refuses what the plugin's own does, in the same words."""

    def outcome(spec):
        try:
            return check_options(options, spec).model_dump(mode="json")
        except errors.OptionError as error:
            return type(error), str(error)

    assert outcome(read) == outcome(SPEC)


def test_errors_survive():
    """Class, fields, attempts and causes; what nobody knows here comes with its name."""
    cause = ValueError("a value")
    error = errors.VoiceNotFound("there is none", who="voice", fix="give one")
    error.__cause__ = cause
    again = from_json(ErrorMessage, travelled(ErrorMessage.of(error))).error()
    assert (type(again), str(again)) == (errors.VoiceNotFound, str(error))
    assert (type(again.__cause__), str(again.__cause__)) == (ValueError, "a value")
    assert "VoiceNotFound" in str(again.__cause__.__cause__)

    class Strange(Exception):
        """Known here only."""

    foreign = ErrorMessage.of(Strange("hm")).error()
    assert isinstance(foreign, ForeignError)
    assert str(foreign).endswith("Strange: hm")
    assert isinstance(ErrorMessage.of(UnicodeError("x")).error(), UnicodeError)

    class Own(errors.UnspeakableText):
        """A plugin's own kind of an error of ours."""

    assert type(ErrorMessage.of(Own("no", who="w", fix="f")).error()) is errors.UnspeakableText


def test_worker_died_can_be_pickled():
    """With its lines and its exit code."""
    error = errors.WorkerDied("it ended", who="w", fix="f", stderr=("a", "b"), exit_code=-9)
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.stderr, again.exit_code) == (str(error), ("a", "b"), -9)


def test_poison_is_known():
    """Errors after which a CUDA context is lost; an out-of-memory error is none, and a cause counts."""
    assert destroys_context(RuntimeError("CUDA error: device-side assert triggered"))
    assert not destroys_context(RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"))
    outer = RuntimeError("generation failed")
    outer.__cause__ = RuntimeError("CUDA error: an illegal memory access was encountered")
    assert destroys_context(outer)


def test_environments_are_found(install, tmp_path, python):
    """By name; none in a folder that is not there."""
    data = install()
    found = environments.find("rogue", settings(data))
    assert (found.name, found.python) == ("rogue", python)
    assert [environment.name for environment in environments.listed(settings(data))] == ["rogue"]
    assert environments.find("../rogue", settings(data)) is None
    assert environments.find("nothing", settings(data)) is None
    assert environments.listed(settings(tmp_path / "nowhere")) == []


@pytest.mark.parametrize(
    ("limits", "seconds", "waited", "told"),
    [
        (Limits(0, 0, 0), 1e6, 1e6, None),
        (Limits(9, 9, 2 << 20), 5, 5, None),
        (Limits(9, 0, 0), 0, 7, ("took longer than worker_deadline_s=9", "raise worker_deadline_s")),
        (Limits(0, 9, 0), 10, 0, ("gave no sign for worker_silence_s=9", "raise worker_silence_s")),
        (Limits(0, 0, 1 << 20), 1, 0, ("took 2 MiB of memory, worker_memory_mb=1", "raise worker_memory_mb, or send ")),
    ],
)
def test_limits_of_a_worker(limits, seconds, waited, told):
    """What was reached is told with its setting; work before this wait counts, and another request begins anew."""
    watchdog = Watchdog(limits, lambda: 2 << 20)
    watchdog.spent = 3.0
    reached = watchdog.violation(watchdog.sign + seconds, waited)
    assert (reached is None) == (told is None)
    if told is not None:
        assert reached[0] == told[0]
        assert reached[1].startswith(told[1])
    watchdog.new_request()
    assert watchdog.spent == 0.0


def test_unwanted_worker_has_its_grace():
    """It may finish what it does, but not for ever."""
    watchdog = Watchdog(Limits(0, 0, 0), lambda: 0)
    watchdog.unwanted = True
    assert watchdog.violation(watchdog.sign + CANCEL_GRACE_S, 0.0) is None
    assert "heeded no cancellation" in watchdog.violation(watchdog.sign + CANCEL_GRACE_S + 1, 0.0)[0]


def test_interpreter_inside_is_written_relative(tmp_path):
    """So that an environment may be built elsewhere and moved to its place."""
    environment = environments.IsolatedEnvironment("x", tmp_path / "bin" / "python", {}, "1.0")
    assert environment.as_dict(tmp_path)["python"] == "bin/python"


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"format": 2}'])
def test_broken_environment_is_told(install, caplog, content):
    """The command that mends it is named; the list leaves it out."""
    data = install()
    (data / "environments/rogue" / environments.FILE).write_text(content, encoding="utf-8")
    with pytest.raises(errors.IsolationError, match="realtts install rogue"):
        environments.find("rogue", settings(data))
    assert environments.listed(settings(data)) == []
    assert "realtts install rogue" in caplog.text


def settings(data):
    """Settings with that data folder."""
    from realtts import Settings

    return Settings(data_dir=data)


def test_auto_takes_the_environment_of_what_is_not_here(install):
    """A name that is not installed here; with `never` it is unknown."""
    data = install()
    with RealProvider("rogue", data_dir=data) as tts:
        assert tts.get_provider_status()["isolation"] == "isolated"
    with pytest.raises(errors.UnknownProvider):
        RealProvider("rogue", data_dir=data, isolation="never")
    with RealProvider(data_dir=data, isolation="always") as tts:
        assert tts.spec.name == "rogue"


def test_always_needs_an_environment(install, tmp_path):
    """A spec at hand runs in the environment of its name; without one the command is named."""
    with RealProvider(fake_spec(), isolation="always", data_dir=install(fake_spec())) as tts:
        assert tts.get_provider_status()["isolation"] == "isolated"
    with pytest.raises(errors.IsolationError, match="realtts install fake"):
        RealProvider(fake_spec(), isolation="always", data_dir=tmp_path)
    with pytest.raises(errors.UnknownProvider, match="realtts install chatterbox"):
        RealProvider("chatterbox", isolation="auto", data_dir=tmp_path)


def test_damaged_spec_is_told(install):
    """What is no spec names the command that mends it."""
    data = install()
    path = data / "environments/rogue" / environments.FILE
    content = json.loads(path.read_text(encoding="utf-8"))
    content["spec"]["sample_rates"] = []
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(errors.IsolationError, match="realtts install rogue"):
        RealProvider("rogue", data_dir=data)


@pytest.mark.parametrize(
    ("how", "what"),
    [
        ({"core": "9.9.0"}, "it has the core 9.9.0"),
        ({"interpreter": Path("/nowhere/python")}, "is gone"),
        ({"spec": {"name": "rogue"}}, "cannot be read"),
    ],
    ids=["core", "interpreter", "spec"],
)
def test_environment_that_cannot_be_used_is_listed(install, monkeypatch, how, what):
    """As broken, with the reason and the command that mends it; it hides no other provider."""
    data = install(core=how.get("core"), interpreter=how.get("interpreter"))
    if "spec" in how:
        path = data / "environments/rogue" / environments.FILE
        content = json.loads(path.read_text(encoding="utf-8"))
        path.write_text(json.dumps({**content, "spec": how["spec"]}), encoding="utf-8")
    monkeypatch.setenv("REALTTS_DATA_DIR", str(data))
    (found,) = [provider for provider in list_providers() if provider["name"] == "rogue"]
    assert what in found["broken"]
    told = problems({**QUIET, "providers": [{**found, "conflicts": []}]})
    (problem,) = [one for one in told if "rogue" in one["what"]]
    assert problem["fix"] == "realtts install rogue --upgrade"
