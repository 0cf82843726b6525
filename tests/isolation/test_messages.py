"""What a parent sends is checked in the worker as strictly as the other way round."""

import contextlib
import json
import logging
import socket
import threading

import numpy as np
import pytest
from hostile_peer import Outgoing
from hostile_replies import deep

from realtts import Attempt, Event, errors
from realtts.contract.stages import StageWork
from realtts.testing import fake_spec
from realtts.wire import messages
from realtts.wire.calls import Close, GiveUp, ListVoices, Load, Reply, Setup, Speak, Stop
from realtts.wire.channel import Channel, ChannelClosed, ChannelFault, Frame, Kind
from realtts.wire.faults import ErrorMessage, FailureMessage
from realtts.wire.messages import LogMessage, RequestMessage, VoiceMessage, to_json
from realtts.wire.reading import Cancel, Credit, End, outgoing, read_from_parent, read_from_worker
from realtts.wire.rows import RowMessage, RowOutcome
from realtts.wire.specs import spec_to_json
from realtts.worker import server
from realtts.worker.server import Server

REQUEST = RequestMessage("Hello.", None, None, "en", 1, 1.0, {}, streaming=False)
FAILURE = FailureMessage("load", ErrorMessage(None, "OSError", "no"), 0.1)
ATTEMPT = Attempt("plain", "plain", "load", "OSError", "no", "", "Try again.", 0.1, False)
SETUP = Setup(spec_to_json(fake_spec()), {"strict": True}, {"strict": "keyword"}, None, (ATTEMPT,), {0: True}, 20)
CALLS = [
    SETUP,
    Load(begin=True, log_level=20),
    GiveUp(None),
    GiveUp(FAILURE),
    Close("plain", "plain", FAILURE),
    ListVoices(load=True),
    ListVoices(load=False),
    Speak(2, joins=False, log_level=20, window=2),
    Stop(forget=True),
]
SPEAK = to_json(CALLS[7])
ROW = RowMessage(3, 1, REQUEST)
VOICE = to_json(VoiceMessage(16_000, None, "samples"))
SAMPLES = np.full(100, 0.1, np.float32).tobytes()


def arrived(kind, content, data=b""):
    """A frame as it comes out of a channel."""
    return Frame(kind, json.loads(json.dumps(content, default=str)), bytearray(data))


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.call)
def test_calls_arrive_as_they_were_sent(call):
    """Every kind of them."""
    assert read_from_parent(arrived(Kind.CALL, to_json(call))) == call


def request(**fields):
    """A row with fields of its request replaced."""
    return {**to_json(ROW), "request": {**to_json(REQUEST), **fields}}


BAD_CALLS = {
    "none": {},
    "of no kind": {"call": "explode"},
    "of two kinds": {"call": ["load", "stop"]},
    "begin a text": {"call": "load", "begin": "yes", "log_level": 20},
    "begin a number": {"call": "load", "begin": 1, "log_level": 20},
    "level a text": {"call": "load", "begin": True, "log_level": "20"},
    "nothing to speak": {**SPEAK, "rows": 0},
    "rows half": {**SPEAK, "rows": 1.5},
    "rows huge": {**SPEAK, "rows": 2**40},
    "joins a text": {**SPEAK, "joins": "yes"},
    "no window": {**SPEAK, "window": 0},
    "window half": {**SPEAK, "window": 1.5},
    "window huge": {**SPEAK, "window": 2**64},
    "failure a text": {"call": "give_up", "failure": "no"},
    "failure without an error": {"call": "give_up", "failure": {"stage": "load"}},
    "rungs by name": {**to_json(SETUP), "given_up": {"plain": True}},
    "settings a list": {**to_json(SETUP), "settings": []},
    "spec a text": {**to_json(SETUP), "spec": "fake"},
}


@pytest.mark.parametrize("case", BAD_CALLS, ids=str)
def test_calls_are_checked(case):
    """By the types of their fields; nothing is converted."""
    with pytest.raises(ChannelFault, match="a CALL that is none"):
        read_from_parent(arrived(Kind.CALL, BAD_CALLS[case]))


BAD_ROWS = {
    "of no number": {"caller": 1, "request": to_json(REQUEST)},
    "number below zero": {**to_json(ROW), "row": -1},
    "number a text": {**to_json(ROW), "row": "3"},
    "number true": {**to_json(ROW), "row": True},
    "number huge": {**to_json(ROW), "row": 2**64},
    "of nobody": {**to_json(ROW), "caller": None},
    "without a request": {"row": 3, "caller": 1},
    "request a text": {**to_json(ROW), "request": "Hello."},
    "no text": request(text=""),
    "text of numbers": request(text=5),
    "seed below zero": request(seed=-1),
    "seed too large": request(seed=2**63),
    "speed zero": request(speed=0.0),
    "speed not a number": request(speed=float("nan")),
    "speed infinite": request(speed=float("inf")),
    "options a list": request(options=[1]),
    "options deep": request(options={"a": deep(200)}),
    "streaming a number": request(streaming=0),
}


@pytest.mark.parametrize("case", BAD_ROWS, ids=str)
def test_rows_are_checked(case):
    """As calls are."""
    with pytest.raises(ChannelFault, match="a ROW that is none"):
        read_from_parent(arrived(Kind.ROW, BAD_ROWS[case]))


BAD_OTHERS = {
    "credit of nothing": (Kind.CREDIT, {}, b""),
    "credit below zero": (Kind.CREDIT, {"row": 0, "chunks": -1}, b""),
    "credit a text": (Kind.CREDIT, {"row": 0, "chunks": "1"}, b""),
    "credit true": (Kind.CREDIT, {"row": 0, "chunks": True}, b""),
    "credit of no row": (Kind.CREDIT, {"chunks": 1}, b""),
    "credit of a row below zero": (Kind.CREDIT, {"row": -1, "chunks": 1}, b""),
    "rows a number": (Kind.CANCEL, {"rows": 1}, b""),
    "rows below zero": (Kind.CANCEL, {"rows": [-1]}, b""),
    "rows of texts": (Kind.CANCEL, {"rows": ["0"]}, b""),
    "an end with bytes": (Kind.END, {}, SAMPLES),
    "voice without samples": (Kind.VOICE, VOICE, b""),
    "voice of three bytes": (Kind.VOICE, VOICE, b"abc"),
    "voice not finite": (Kind.VOICE, VOICE, np.array([np.nan], np.float32).tobytes()),
    "voice of no rate": (Kind.VOICE, {**VOICE, "sample_rate": 0}, SAMPLES),
    "voice of a huge rate": (Kind.VOICE, {**VOICE, "sample_rate": 10**6}, SAMPLES),
    "voice without a name": (Kind.VOICE, {**VOICE, "name": None}, SAMPLES),
    "a reply": (Kind.REPLY, {}, b""),
    "a chunk": (Kind.CHUNK, {"row": 0, "sample_rate": 16_000}, SAMPLES),
    "an end of a row": (Kind.OUTCOME, {"row": 0}, b""),
    "a row with bytes": (Kind.ROW, to_json(ROW), SAMPLES),
    "a greeting": (Kind.HELLO, {"realtts": "1", "python": "3"}, b""),
    "a log record": (Kind.LOG, {}, b""),
}


@pytest.mark.parametrize("case", BAD_OTHERS, ids=str)
def test_other_messages_of_a_parent_are_checked(case):
    """Flow control, recordings, and what only a worker may send."""
    with pytest.raises(ChannelFault):
        read_from_parent(arrived(*BAD_OTHERS[case]))


def test_good_messages_of_a_parent():
    """Each becomes its type."""
    assert read_from_parent(arrived(Kind.CREDIT, {"row": 5, "chunks": 2, "newer": 1})) == Credit(5, 2)
    assert read_from_parent(arrived(Kind.ROW, to_json(ROW))) == ROW
    assert read_from_parent(arrived(Kind.CANCEL, {"rows": [0, 3]})) == Cancel((0, 3))
    assert read_from_parent(arrived(Kind.END, {})) == End()
    voice = read_from_parent(arrived(Kind.VOICE, VOICE, SAMPLES))
    assert (len(voice.samples), voice.sample_rate) == (100, 16_000)


@pytest.mark.parametrize("kind", [Kind.CALL, Kind.ROW, Kind.CREDIT, Kind.CANCEL, Kind.END, Kind.VOICE])
def test_worker_may_not_send_what_a_parent_sends(kind):
    """Whatever it holds."""
    with pytest.raises(ChannelFault, match="which it may not send"):
        read_from_worker(arrived(kind, {}))


@pytest.fixture
def serve(monkeypatch):
    """A worker's server in a thread, and the parent's end of its channel; what it leaves for is put down."""
    left = threading.Event()

    def leave():
        left.set()
        sock.close()

    monkeypatch.setattr(server, "leave", leave)
    ours, sock = socket.socketpair()
    parent = Channel(ours)

    def work():
        with contextlib.suppress(ChannelClosed):  # as the program does
            Server(Channel(sock), lambda event: None).serve()

    working = threading.Thread(target=work, daemon=True)
    working.start()
    parent.left = left
    yield parent
    if not left.is_set():
        parent.send(Kind.CALL, to_json(Stop(forget=True)))
        working.join(10)
    parent.close()
    assert left.wait(10)  # the real one would end this process


@pytest.mark.parametrize(
    "frame",
    [
        Outgoing(Kind.CALL, BAD_CALLS["no window"]).frame(1),
        Outgoing(Kind.CALL, BAD_CALLS["of no kind"]).frame(1),
        Outgoing(Kind.CREDIT, {"chunks": "many"}).frame(1),
        Outgoing(Kind.CANCEL, {}).frame(1),
        Outgoing(Kind.VOICE, VOICE, b"abc").frame(1),
        Outgoing(Kind.REPLY, {}).frame(1),
        Outgoing(Kind.ROW, to_json(ROW)).frame(1),
        Outgoing(Kind.CALL, SPEAK).frame(1) + Outgoing(Kind.ROW, to_json(ROW)).frame(1) * 2,
        Outgoing(Kind.CALL, {}).frame(1, text=b"[" * 100_000),
        Outgoing(Kind.CALL, {}).frame(1, text=b"\xff\xff"),
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ],
    ids=[
        "window",
        "kind",
        "credit",
        "rows",
        "voice",
        "reply",
        "row of no call",
        "row twice",
        "deep",
        "encoding",
        "http",
    ],
)
def test_worker_leaves_a_parent_that_it_cannot_understand(serve, frame, capsys):
    """At once, with a line that says why; it never works on half of a call."""
    serve._socket.sendall(frame)
    assert serve.left.wait(10)
    assert "the channel is broken: realtts.wire.channel.ChannelFault" in capsys.readouterr().err


def test_worker_serves(serve):
    """A good parent gets its replies, each with the number of its call."""
    serve.send(Kind.CALL, to_json(Setup(spec_to_json(fake_spec()), {}, {}, None, (), {}, 20)))
    first = serve.receive(20.0)
    assert (first.kind, first.call) == (Kind.REPLY, 1)
    assert read_from_worker(first).versions["python"]


SENT_BY_PLUGINS = {
    "an event without a name": Event(None),
    "an event named by a number": Event(5),
    "an event at no time": Event("e", at=float("nan")),
    "an event that is deep": Event("e", data={"a": deep(100)}),
    "an event of a provider that is a list": Event("e", provider=["x"]),
    "counts of numpy": RowOutcome(0, work={"decode": StageWork(steps=np.int64(3))}),
    "counts of texts": RowOutcome(0, work={"decode": StageWork(seconds="1")}),
    "versions of numbers": Reply(versions={"torch": 2.5}),
}


@pytest.mark.parametrize("case", SENT_BY_PLUGINS, ids=str)
def test_worker_checks_what_it_sends(case):
    """What a plugin reports wrongly is found beside the plugin, and does not end the worker."""
    with pytest.raises(ValueError):
        outgoing(SENT_BY_PLUGINS[case])


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"pathname": None},
        {"lineno": None},
        {"levelname": 5},
        {"exc_text": "Traceback"},
        {"name": ""},
        {"msg": "%s%%", "args": ("é",)},
        {"msg": {"a": 1}},
    ],
    ids=str,
)
def test_records_made_by_hand_arrive(fields):
    """Libraries fill them as they like."""
    record = logging.makeLogRecord({"name": "x", "levelno": 20, "levelname": "INFO", "msg": "hello", **fields})
    message = read_from_worker(arrived(Kind.LOG, outgoing(LogMessage.of(record))))
    assert message.record(7).getMessage() == record.getMessage()


def test_records_can_be_encoded():
    """Names of files that are no UTF-8 stand in messages."""
    record = logging.makeLogRecord({"name": "x", "levelno": 20, "msg": "no file a\udcff.wav", "pathname": "b\udc80.py"})
    message = read_from_worker(arrived(Kind.LOG, outgoing(LogMessage.of(record))))
    assert (message.msg, message.pathname) == ("no file a\\udcff.wav", "b\\udc80.py")


def test_loggers_of_workers_are_bounded(monkeypatch):
    """`logging` keeps every logger for ever; beyond some the records go to one of ours."""
    monkeypatch.setattr(messages, "_MOST_LOGGERS", 3)
    monkeypatch.setattr(messages, "_made_here", set())
    heard = []

    class Listener(logging.Handler):
        """Keeps names."""

        def emit(self, record):
            """Keep the name."""
            heard.append(record.name)

    root, listener = logging.getLogger(), Listener()
    root.addHandler(listener)
    try:
        for number in range(6):
            record = logging.makeLogRecord(
                {"name": f"crowd.n{number}", "levelno": 40, "levelname": "ERROR", "msg": "m"}
            )
            LogMessage.of(record).handle(7)
    finally:
        root.removeHandler(listener)
    assert heard == [f"crowd.n{number}" for number in range(6)]  # what a record says of itself stays
    made = [name for name in logging.Logger.manager.loggerDict if name.startswith("crowd.")]
    assert made == ["crowd.n0", "crowd.n1", "crowd.n2"]


REPLY, EVENT = to_json(Reply()), {"name": "e", "provider": "", "data": {}, "at": 1.0}
LOG = to_json(LogMessage("x", 20, "INFO", "m", None, 1.0, "p", 1, None))
LIVE = {"variant": "plain", "rung": "r", "device": "cpu", "dtype": "float32", "changes": {}, "timings": {}}
LADDER = {"attempts": [], "given_up": {}, "details": {}, "live": {**LIVE, "places": 1, "joins": False, "last": True}}
ERROR = {"kind": "Busy", "name": "x", "message": "m"}

BAD_PARTS = {
    "a number that is none": (Kind.EVENT, {**EVENT, "data": {"loss": float("nan")}}),
    "an infinite number, deep": (Kind.EVENT, {**EVENT, "data": {"a": [[{"b": float("-inf")}]]}}),
    "a number of 65 bits": (Kind.EVENT, {**EVENT, "data": {"a": 2**64}}),
    "a number of 5,000 digits": (Kind.REPLY, {**REPLY, "ladder": {**LADDER, "details": {"a": 10**4000}}}),
    "half a pair in data": (Kind.EVENT, {**EVENT, "data": {"a": ["x\ud800"]}}),
    "half a pair in a key": (Kind.EVENT, {**EVENT, "data": {"x\udfff": 1}}),
    "half a pair in a name": (Kind.EVENT, {**EVENT, "name": "x\ud800"}),
    "half a pair in a record": (Kind.LOG, {**LOG, "msg": "x\udc80"}),
    "half a pair in a voice": (Kind.REPLY, {**REPLY, "voices": [{"id": "x\udc80"}]}),
    "half a pair in an alias": (Kind.REPLY, {**REPLY, "voices": [{"id": "x", "aliases": ["\udc80"]}]}),
    "half a pair in an error": (Kind.REPLY, {**REPLY, "error": {**ERROR, "fields": {"what": "\udc80"}}}),
    "half a pair in a version": (Kind.REPLY, {**REPLY, "versions": {"torch\udc80": "1"}}),
    "half a pair in a warning": (Kind.CHUNK, {"row": 0, "sample_rate": 16_000, "warnings": ["\udc80"]}),
    "half a pair in a mark": (
        Kind.CHUNK,
        {"row": 0, "sample_rate": 16_000, "marks": [{"start": 0.0, "end": 1.0, "span": [0, 1], "name": "\udc80"}]},
    ),
    "half a pair in a rung": (
        Kind.REPLY,
        {**REPLY, "ladder": {**LADDER, "live": {**LADDER["live"], "rung": "\udc80"}}},
    ),
    "a rung of 65 bits": (Kind.REPLY, {**REPLY, "ladder": {**LADDER, "given_up": {str(2**64): True}}}),
    "a logger of a thousand parts": (Kind.LOG, {**LOG, "name": "a." * 1000}),
    "half a million voices": (Kind.REPLY, {**REPLY, "voices": [None] * 500_000}),
    "half a million versions": (Kind.REPLY, {**REPLY, "versions": {str(n): 1 for n in range(500_000)}}),
    "half a million marks": (Kind.CHUNK, {"row": 0, "sample_rate": 16_000, "marks": [0] * 500_000}),
    "causes without end": (Kind.REPLY, {**REPLY, "error": ERROR}),
}


@pytest.mark.parametrize("case", BAD_PARTS, ids=str)
def test_what_a_worker_says_can_be_written_again(case):
    """As strict JSON in UTF-8, wherever it goes: the status, a log, a terminal. What cannot is refused, shortly."""
    kind, content = BAD_PARTS[case]
    if case == "causes without end":
        for _ in range(600):
            content = {**content, "error": {**content["error"], "cause": content["error"]}}
    with pytest.raises(ChannelFault, match=f"a {kind.name} that is none") as caught:
        read_from_worker(Frame(kind, content, bytearray()))
    assert len(str(caught.value)) < 400
    assert str(caught.value).encode()


@pytest.mark.parametrize(
    "message",
    [
        RowMessage(3, 1, RequestMessage("Hello.", "a\udc80", None, "en", 1, 1.0, {}, streaming=False)),
        RowMessage(3, 1, RequestMessage("Hello.", None, None, "en", 1, 1.0, {"even": 2**70}, streaming=False)),
        RowMessage(3, 1, RequestMessage("Hello.", None, None, "en", 1, 1.0, {"word": "\ud800"}, streaming=False)),
    ],
    ids=["voice", "number", "word"],
)
def test_what_a_user_gives_is_judged_by_whom_it_is_for(message):
    """An option, or the name of a file, that is strange does not end the worker."""
    assert read_from_parent(arrived(Kind.ROW, to_json(message))) == message


OURS = {
    "option": errors.InvalidOption("it is odd", who="even", fix="give an even one", argument="even"),
    "markup": errors.InvalidMarkup("it is open", who="text", fix="close it", line=3, column=7),
    "installation": errors.InstallFailed("no", who="x", fix="y", phase="prove", output=("one", "two")),
    "busy": errors.Busy("full", who="x", fix="wait"),
}
OURS["busy"].wait_s = 2.5


@pytest.mark.parametrize("case", OURS, ids=str)
def test_errors_keep_what_they_say_of_themselves(case):
    """Line, column, option and time to wait arrive as they were raised."""
    error = OURS[case]
    content = json.loads(json.dumps(to_json(ErrorMessage.of(error)), default=str))
    again = messages.from_json(ErrorMessage, content).error()
    assert type(again) is type(error)
    assert vars(again) == vars(error)


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [
        ("Busy", "wait_s", "soon"),
        ("Busy", "wait_s", True),
        ("Busy", "wait_s", [1]),
        ("InvalidOption", "argument", 5),
        ("InvalidOption", "argument", {"a": 1}),
        ("InvalidMarkup", "line", "3"),
        ("InvalidMarkup", "column", None),
        ("InstallFailed", "output", "one line"),
        ("InstallFailed", "output", [1, 2]),
        ("VoiceNotFound", "with_traceback", 1),
        ("VoiceNotFound", "__class__", "x"),
    ],
)
def test_errors_take_no_attributes_of_other_types(kind, name, value):
    """Who asks for them, such as a server for the time to wait, can rely on their types."""
    about = {"what": "no", "who": "x", "fix": "y", name: value}
    made = ErrorMessage(kind, f"realtts.errors.{kind}", "no", about).error()
    assert type(made) is getattr(errors, kind)
    assert name not in vars(made) or vars(made)[name] != value
    assert str(made) == "x: no. Fix: y."


class Odd(errors.RealTTSError):
    """A plugin's, with attributes that JSON has no word for."""

    def __init__(self, **about):
        super().__init__("no", who="x", fix="y")
        vars(self).update(about)


@pytest.mark.parametrize(
    "about",
    [{"a": float("nan")}, {"a": [object()]}, {"a": 10**5000}, {"a": "\udc80"}, {"a": ["\ud800"]}, {"a": deep(300)}],
    ids=["nan", "object", "digits", "half a pair", "in a list", "deep"],
)
def test_a_plugins_own_errors_can_be_sent(about):
    """Whatever stands in them."""
    content = outgoing(Reply(error=ErrorMessage.of(Odd(**about))))
    assert read_from_worker(arrived(Kind.REPLY, content)).error.error().what == "no"
