"""A hostile or broken worker: whatever it sends, its request ends in a typed error and the next one is served."""

import json
import random
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import hostile_peer as p
import hostile_replies
import numpy as np
import pytest

from realtts import RealProvider, errors
from realtts.contract.checks import ChunkChecks
from realtts.testing import fake_spec
from realtts.testing.fake import RATE
from realtts.wire.calls import Reply, Speak
from realtts.wire.channel import Channel, ChannelFault, Kind
from realtts.wire.inbox import Inbox

LONGEST_S = 30


@pytest.fixture(scope="module")
def data(install):
    """A folder with the fake provider's environment."""
    return install(fake_spec())


@pytest.fixture
def provider(monkeypatch, data):
    """Make a provider whose workers misbehave one after another as told, and then no more."""
    monkeypatch.setattr("realtts.wire.inbox.PARTIAL_S", 0.25)
    monkeypatch.setattr("realtts.isolation.client.UNREAD_S", 0.25)
    monkeypatch.setattr("realtts.isolation.watchdog.CANCEL_GRACE_S", 0.25)
    monkeypatch.setattr("realtts.isolation.client.STOP_GRACE_S", 0.5)
    made, peers = [], []

    def provider(*misbehaving, joins=False, **settings):
        left = list(misbehaving)

        def start(environment):
            peers.append(p.Peer(left.pop(0) if left else None, joins=joins))
            return peers[-1]

        monkeypatch.setattr("realtts.isolation.client.WorkerProcess", start)
        made.append(RealProvider("fake", data_dir=data, **settings))
        return made[-1]

    provider.peers = peers
    yield provider
    for tts in made:
        tts.close()
    assert all(peer.killed.wait(5) for peer in peers)


def timely(call):
    """The result of a call, or what it raised; it must come in time."""
    done = []

    def work():
        try:
            done.append(call())
        except BaseException as error:
            done.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(LONGEST_S)
    assert done, "it hangs"
    return done[0]


def worker_of(tts):
    """The worker's part of the status."""
    return tts.get_provider_status()["worker"]


def test_a_good_peer_is_a_worker(provider):
    """What the other tests stand on."""
    tts = provider()
    assert tts.generate("hello").duration > 0
    assert next(chunk.tokens for chunk in tts.stream("hello")) == 1
    assert len(tts.generate_batch(["one", "two", "three"])) == 3
    assert [voice.id for voice in tts.voices()][:2] == ["high", "low"]
    assert (worker_of(tts)["starts"], worker_of(tts)["deaths"]) == (1, 0)


ASKING = {
    "generate": lambda tts: [tts.generate("Hello there.", seed=1)],
    "stream": lambda tts: list(tts.stream("Hello there.", seed=1)),
    "batch": lambda tts: tts.generate_batch(["Hello.", "There."], seed=1),
    "voices": lambda tts: tts.voices(),
}


def attacked(provider, seed):
    """Return what was wrong with one hostile reply, None when all was well."""
    rng = random.Random(seed)
    misbehave, what = hostile_replies.attack(rng)
    spoken = ["batch", "generate", "stream"]
    how = (
        "voices"
        if p.VOICES in what
        else rng.choice(spoken if {p.CHUNK, p.OUTCOME, p.REPLY} & set(what.split()) else sorted(ASKING))
    )
    # A worker that says nothing is taken to work, up to this limit.
    with provider(misbehave, worker_silence_s=3.0) as tts:
        first = timely(lambda: ASKING[how](tts))
        if isinstance(first, BaseException):
            sound = isinstance(first, errors.RealTTSError) and bool(str(first))
        else:
            sound = how == "voices" or all(map(hostile_replies.is_sound_audio, first))
        json.dumps(tts.get_provider_status())
        second = timely(lambda: tts.generate("And on.", seed=2))
        served = not isinstance(second, BaseException) and second.duration > 0
        fresh = not isinstance(first, errors.WorkerDied) or worker_of(tts)["starts"] > 1
    return None if sound and served and fresh else f"{seed}: {what}, {how}: {first!r}, then {second!r}"


@pytest.mark.parametrize(
    "seeds",
    [
        range(30),
        pytest.param(range(30, 100), marks=pytest.mark.full),
        pytest.param(range(100, 1100), marks=pytest.mark.slow),
    ],
    ids=len,
)
def test_replies_made_from_the_types_of_the_messages(provider, seeds):
    """None of them hangs, or reaches the caller as an error that is not ours; the next request is always served."""
    assert [fault for seed in seeds if (fault := attacked(provider, seed))] == []


def refused(provider, place, act, match="sent garbage", ask="generate", **settings):
    """Let a worker misbehave: the request gets `WorkerDied`, the worker is killed, another one serves the next."""
    tts = provider(p.once(place, act), **settings)
    first = timely(lambda: ASKING[ask](tts))
    assert isinstance(first, errors.WorkerDied), first
    assert match in str(first)
    assert first.fix
    assert provider.peers[0].killed.is_set()
    assert timely(lambda: tts.generate("And on.")).duration > 0
    assert (worker_of(tts)["starts"], worker_of(tts)["deaths"]) == (2, 1)


def sending(**parts):
    """Send the frame with parts of it replaced."""
    return lambda peer, out: peer.sock.sendall(out.frame(peer.call, **parts))


def saying(**fields):
    """Send the message with fields of it replaced."""

    def act(peer, out):
        out.content.update(fields)
        peer.sock.sendall(out.frame(peer.call))

    return act


NOT_FRAMES = {
    "a line of text": lambda peer, out: peer.sock.sendall(b"Downloading model.safetensors: 100%|########|\n"),
    "another magic": sending(magic=b"RTTS"),
    "another version": sending(version=99),
    "no such kind": sending(kind=99),
    "a kind of the parent": sending(kind=int(Kind.END)),
    "a call by the worker": sending(kind=int(Kind.CALL)),
    "json too large": sending(sizes=(2**31, 0)),
    "samples too large": sending(sizes=(2, 2**32 - 1)),
    "no json": sending(text=b"{]"),
    "an array": sending(text=b"[]"),
    "a number": sending(text=b"1"),
    "nothing": sending(text=b""),
    "deep arrays": sending(text=b"[" * 200_000),
    "deep objects": sending(text=b'{"row":' * 100_000 + b"1" + b"}" * 100_000),
    "a number too long": sending(text=b'{"row": ' + b"9" * 5000 + b"}"),
    "latin-1": sending(text='{"é": 1}'.encode("latin-1")),
    "utf-16": sending(text='{"a": 1}'.encode("utf-16")),
}


@pytest.mark.parametrize("place", [p.LOAD, p.CHUNK])
@pytest.mark.parametrize("case", NOT_FRAMES, ids=str)
def test_bytes_that_are_no_frame(provider, case, place):
    """While it loads and while it speaks."""
    refused(provider, place, NOT_FRAMES[case])


TRUNCATED = {
    "header": lambda frame: frame[:7],
    "header alone": lambda frame: frame[:16],
    "json": lambda frame: frame[:40],
    "samples": lambda frame: frame[:-1],
    "a byte": lambda frame: frame[:1],
}


@pytest.mark.parametrize("gone", [False, True], ids=["waits", "ends"])
@pytest.mark.parametrize("case", TRUNCATED, ids=str)
def test_frame_without_its_rest(provider, case, gone):
    """Frames are sent whole: a part of one is no sign of work."""

    def act(peer, out):
        peer.sock.sendall(TRUNCATED[case](out.frame(peer.call)))
        if gone:
            peer.kill()
        peer.killed.wait()

    refused(provider, p.CHUNK, act, "ended" if gone else "a part of a frame")


def test_trickle_of_bytes_does_not_keep_the_parent_from_looking(provider):
    """A byte at a time, each in time, is a part of a frame as well."""

    def act(peer, out):
        frame = out.frame(peer.call, data=bytes(1 << 20))
        for at in range(len(frame)):
            if peer.killed.wait(0.001):
                return
            peer.sock.sendall(frame[at : at + 1])

    refused(provider, p.CHUNK, act, "a part of a frame")


ODD_CHUNKS = {
    "row 99": {"row": 99},
    "row below zero": {"row": -1},
    "row a text": {"row": "0"},
    "row true": {"row": True},
    "no row": {"row": None},
    "rate zero": {"sample_rate": 0},
    "rate of another": {"sample_rate": RATE * 2},
    "rate a text": {"sample_rate": str(RATE)},
    "rate a float": {"sample_rate": float(RATE)},
    "rate huge": {"sample_rate": 10**30},
    "tokens below zero": {"tokens": -1},
    "tokens a list": {"tokens": [1]},
    "finish reason of others": {"finish_reason": "eos"},
    "finish reason a list": {"finish_reason": ["stop"]},
    "finish reason empty": {"finish_reason": ""},
    "warnings a text": {"warnings": "loud"},
    "warnings of numbers": {"warnings": [1]},
    "warnings deep": {"warnings": hostile_replies.deep(500)},
    "mark behind the text": {"marks": [{"start": 0, "end": 1, "span": [0, 999], "kind": "word"}]},
    "mark at no time": {"marks": [{"start": float("nan"), "end": 1, "span": [0, 1], "kind": "word"}]},
    "mark without an end": {"marks": [{"start": 0, "span": [0, 1], "kind": "word"}]},
    "mark of another kind": {"marks": [{"start": 0, "end": 1, "span": [0, 1], "kind": "phoneme"}]},
    "retries half": {"retries": 0.5},
}


@pytest.mark.parametrize("case", ODD_CHUNKS, ids=str)
def test_chunks_are_checked_as_in_process(provider, case):
    """By their types, and by the contract of plugins."""
    refused(provider, p.CHUNK, saying(**ODD_CHUNKS[case]))


ODD_SAMPLES = {
    "nan": np.array([0.1, np.nan], np.float32).tobytes(),
    "infinity": np.array([np.inf, 0.1], np.float32).tobytes(),
    "minus infinity": np.array([-np.inf], np.float32).tobytes(),
    "signalling nan": b"\x01\x00\xa0\x7f",
    "three bytes": b"abc",
    "five bytes": b"abcde",
    "float64 that are no float32": np.full(100, -np.inf).tobytes(),
    "text": b"\xff" * 64,
}


@pytest.mark.parametrize("ask", ["generate", "stream", "batch"])
@pytest.mark.parametrize("case", ODD_SAMPLES, ids=str)
def test_samples_that_are_none(provider, case, ask):
    """Not finite, or no whole number of them."""
    refused(provider, p.CHUNK, sending(data=ODD_SAMPLES[case]), ask=ask)


def test_rate_may_not_change(provider, monkeypatch, install):
    """Of one row, also when the spec has both rates."""
    monkeypatch.setattr("realtts.isolation.remote_ladder.chunk_checks", two_rates)

    def act(peer, out):
        peer.sock.sendall(out.frame(peer.call))
        out.content["sample_rate"] = RATE // 2
        peer.sock.sendall(out.frame(peer.call))

    refused(provider, p.CHUNK, act, "the sample rate changed")


def two_rates(spec):
    """Checks that allow two rates."""
    return ChunkChecks((RATE, RATE // 2), "test")


STATE = p.reply(ladder=p.ladder())["ladder"]
FIELDS = {"what": "no", "who": "w", "fix": "f"}
ODD_LOADS = {
    "nothing loaded": {"ladder": None},
    "nothing live": {"ladder": {**STATE, "live": None}},
    "ladder a list": {"ladder": [STATE]},
    "variant of others": {"ladder": {**STATE, "live": {**STATE["live"], "variant": "fast"}}},
    "an unknown setting changed": {"ladder": {**STATE, "live": {**STATE["live"], "changes": {"no_such": 1}}}},
    "a setting out of range": {"ladder": {**STATE, "live": {**STATE["live"], "changes": {"threads": -5}}}},
    "a setting of another type": {"ladder": {**STATE, "live": {**STATE["live"], "changes": {"dtype": []}}}},
    "timings of texts": {"ladder": {**STATE, "live": {**STATE["live"], "timings": {"load": "1"}}}},
    "attempts of texts": {"ladder": {**STATE, "attempts": ["no"]}},
    "given up by name": {"ladder": {**STATE, "given_up": {"plain": True}}},
    "details deep": {"ladder": {**STATE, "details": {"compile": hostile_replies.deep(500)}}},
    "a failure": {"failure": {"stage": "load", "error": {"kind": None, "name": "OSError", "message": "no"}}},
    "an error of its own": {"error": {"kind": None, "name": "AssertionError", "message": "no"}},
    "the end of an iteration": {"error": {"kind": None, "name": "StopIteration", "message": ""}},
    "an interrupt": {"error": {"kind": None, "name": "KeyboardInterrupt", "message": ""}},
    "an error without a name": {"error": {"kind": "InputError", "message": "no"}},
    "a list as error": {"error": []},
    "its own end": {"error": {"kind": "WorkerDied", "name": "x", "message": "no", "fields": FIELDS}},
    "voices of numbers": {"voices": [{"id": 1}]},
    "cache of texts": {"cache": {"entries": "many"}},
}


@pytest.mark.parametrize("case", ODD_LOADS, ids=str)
def test_replies_are_checked(provider, case):
    """By their types, and by what a reply to this call can say."""
    refused(provider, p.LOAD, saying(**ODD_LOADS[case]))


@pytest.mark.parametrize(
    "kind", ["InputError", "Busy", "StageFailed", "LadderExhausted", "InstallFailed", "NewerError", "closest", ""]
)
@pytest.mark.parametrize("fields", [FIELDS, {}, {"what": 5, "args": [], "__class__": "x"}], ids=["all", "none", "odd"])
def test_errors_that_a_worker_may_raise_are_ours(provider, kind, fields):
    """Whatever their fields are; the worker is kept, for it has kept the protocol."""
    error = {"kind": kind, "name": "Some", "message": "no", "fields": fields}
    tts = provider(p.once(p.LOAD, saying(error=error, ladder=None)))
    first = timely(lambda: tts.generate("Hello."))
    assert isinstance(first, errors.RealTTSError)
    assert str(first)
    assert timely(lambda: tts.generate("Hello.")).duration > 0
    assert worker_of(tts)["starts"] == 1


def chunk(call, count=1):
    """Frames of good chunks."""
    content = {"row": 0, "sample_rate": RATE}
    return p.Outgoing(Kind.CHUNK, content, np.full(400, 0.1, np.float32).tobytes()).frame(call) * count


def answer(call, count=1):
    """Frames of good replies."""
    return p.Outgoing(Kind.REPLY, p.reply()).frame(call) * count


WRONG_MOMENTS = {
    "chunks without end": (p.CHUNK, lambda peer, out: p.flood(peer, chunk(peer.call))),
    "empty chunks without end": (
        p.CHUNK,
        lambda peer, out: p.flood(peer, p.Outgoing(Kind.CHUNK, {"row": 0, "sample_rate": RATE}).frame(peer.call)),
    ),
    "a chunk while it loads": (p.LOAD, lambda peer, out: peer.sock.sendall(chunk(peer.call))),
    "a chunk before its greeting": (p.GREETING, lambda peer, out: peer.sock.sendall(chunk(0))),
    "a reply before its greeting": (p.GREETING, lambda peer, out: peer.sock.sendall(answer(0))),
    "a second greeting": (
        p.CHUNK,
        lambda peer, out: peer.sock.sendall(
            p.Outgoing(Kind.HELLO, {"realtts": "1", "python": "3"}).frame(peer.call) + out.frame(peer.call)
        ),
    ),
    "a chunk of the call before": (p.CHUNK, lambda peer, out: peer.sock.sendall(chunk(peer.call - 1))),
    "a reply to the call after": (p.LOAD, lambda peer, out: peer.sock.sendall(out.frame(peer.call + 1))),
    "the reply twice, at once": (p.SETUP, lambda peer, out: peer.sock.sendall(answer(peer.call, 2))),
    "replies without end": (p.SETUP, lambda peer, out: p.flood(peer, answer(peer.call))),
    "bytes beside a reply": (p.LOAD, sending(data=b"0123")),
}


@pytest.mark.parametrize("case", WRONG_MOMENTS, ids=str)
def test_good_messages_at_a_wrong_moment(provider, case):
    """What nobody asked for is no message either."""
    place, act = WRONG_MOMENTS[case]
    refused(provider, place, act)


def frames(*messages):
    """Send messages in place of a frame, each a kind and what it holds."""

    def act(peer, out):
        for kind, content in messages:
            data = np.full(400, 0.1, np.float32).tobytes() if kind is Kind.CHUNK else b""
            peer.sock.sendall(p.Outgoing(kind, content, data).frame(peer.call))
        peer.killed.wait(10)

    return act


CHUNK_0, END_0 = (Kind.CHUNK, {"row": 0, "sample_rate": RATE}), (Kind.OUTCOME, {"row": 0})
WRONG_ROWS = {
    "a chunk of a number that was never sent": frames((Kind.CHUNK, {"row": 5, "sample_rate": RATE})),
    "a chunk after its end": frames(CHUNK_0, END_0, CHUNK_0),
    "two ends": frames(CHUNK_0, END_0, END_0),
    "an end of a number that was never sent": frames((Kind.OUTCOME, {"row": 3})),
    "an end of a row below zero": frames((Kind.OUTCOME, {"row": -1})),
    "an end of a text": frames((Kind.OUTCOME, {"row": "0"})),
    "an end of true": frames((Kind.OUTCOME, {"row": True})),
    "an end of nothing": frames((Kind.OUTCOME, {})),
    "an end for no reason of ours": frames((Kind.OUTCOME, {"row": 0, "reason": "eos"})),
    "an end with work of texts": frames((Kind.OUTCOME, {"row": 0, "work": {"decode": "slow"}})),
    "an end with a list as error": frames((Kind.OUTCOME, {"row": 0, "error": []})),
    "the news of its own end": frames(
        (Kind.OUTCOME, {"row": 0, "error": {"kind": "WorkerDied", "name": "x", "message": "no", "fields": {}}})
    ),
    "a reply before the end of its row": frames((Kind.REPLY, p.reply())),
    "a poisoned reply before the end of its row": frames((Kind.REPLY, p.reply(poisoned=True))),
    "a row": frames((Kind.ROW, {"row": 0})),
}


@pytest.mark.parametrize("joins", [False, True], ids=["batch", "joining"])
@pytest.mark.parametrize("case", WRONG_ROWS, ids=str)
def test_rows_that_are_not_as_they_should_be(provider, case, joins):
    """Each row has its own number, chunks before its end, and one end."""
    tts = provider(p.once(p.CHUNK, WRONG_ROWS[case]), joins=joins)
    # Two ends are found in this request or, when it is complete before, ahead of the next one.
    first = timely(lambda: tts.generate("Hello."))
    assert isinstance(first, errors.WorkerDied) or "end" in case
    if isinstance(first, errors.WorkerDied):
        assert "sent garbage" in str(first)
    assert timely(lambda: tts.generate("And on.")).duration > 0
    assert provider.peers[0].killed.is_set()
    assert (worker_of(tts)["starts"], worker_of(tts)["deaths"]) == (2, 1)


@pytest.fixture
def inbox():
    """The parent's end of a channel whose worker has greeted, with a call of two rows; and a function to send."""
    ours, theirs = socket.socketpair()
    inbox = Inbox(Channel(ours), lambda event: None, lambda record: None)
    theirs.sendall(p.Outgoing(Kind.HELLO, {"realtts": "1", "python": "3"}).frame(0))
    inbox.take(1.0)

    def open_call(*, joins=True, window=2):
        inbox.open(Speak(2, joins, 20, window), ChunkChecks((RATE,), "test"))
        inbox.expect(0, "Hello.")
        inbox.expect(1, "There.")

    inbox.open_call, inbox.send = open_call, theirs.sendall
    yield inbox
    ours.close()
    theirs.close()


@pytest.mark.parametrize("window", [1, 2, 5])
def test_window_of_a_row(inbox, window):
    """More chunks than were allowed are refused, whatever other rows may send."""
    inbox.open_call(window=window)
    inbox.send(chunk(0, window + 1))
    assert [inbox.take(1.0).row for _ in range(window)] == [0] * window
    with pytest.raises(ChannelFault, match="more chunks of row 0 than it was allowed"):
        inbox.take(1.0)
    assert inbox.allow_chunk(0)
    inbox.send(chunk(0))
    assert inbox.take(1.0).row == 0


@pytest.mark.parametrize("joins", [False, True], ids=["batch", "joining"])
@pytest.mark.parametrize("ended", [(), (0,), (1, 0)], ids=["none", "one", "both"])
def test_reply_comes_when_all_is_said(inbox, joins, ended):
    """After the ends of all rows, and of a call that rows may join after the parent's word; then it may come early."""
    good = len(ended) == 2 and not joins
    for finished in (False, True):
        inbox.open_call(joins=joins)
        for row in ended:
            inbox.send(p.Outgoing(Kind.OUTCOME, {"row": row}).frame(0))
            inbox.take(1.0)
            assert not inbox.allow_chunk(row)
        if finished:
            inbox.finish()
        inbox.send(answer(0))
        if finished or good:
            assert isinstance(inbox.take(1.0), Reply)
        else:
            with pytest.raises(ChannelFault, match="a reply w"):
                inbox.take(1.0)


BEHIND_THE_END = {
    "the reply twice": answer,
    "a hundred replies": lambda call: answer(call, 100),
    "a chunk": chunk,
    "chunks": lambda call: chunk(call, 20),
    "a line of text": lambda call: b"done, 1.3 s/it\n",
    "the reply to a later call": lambda call: answer(call + 1),
    "a frame that is too large": lambda call: p.Outgoing(Kind.REPLY, {}).frame(call, sizes=(2**31, 2**31)),
    "an end": lambda call: p.Outgoing(Kind.END, {}).frame(call),
}


@pytest.mark.parametrize("case", BEHIND_THE_END, ids=str)
def test_what_comes_behind_the_reply_costs_no_request(provider, case):
    """It is found before the next request, which another worker serves."""

    def act(peer, out):
        peer.sock.sendall(out.frame(peer.call) + BEHIND_THE_END[case](peer.call))

    tts = provider(p.once(p.REPLY, act))
    assert timely(lambda: tts.generate("Hello.")).duration > 0
    assert timely(lambda: tts.generate("And on.")).duration > 0
    assert (worker_of(tts)["starts"], worker_of(tts)["deaths"]) == (2, 1)


FLOODS = {
    "chunks": lambda peer: chunk(peer.call),
    "events": lambda peer: p.Outgoing(Kind.EVENT, {"name": "e", "data": {}, "at": 1.0}).frame(peer.call),
    "empty chunks": lambda peer: p.Outgoing(Kind.CHUNK, {"row": 0, "sample_rate": RATE}).frame(peer.call),
    "replies": lambda peer: answer(peer.call),
    "greetings": lambda peer: p.Outgoing(Kind.HELLO, {"realtts": "1", "python": "3"}).frame(peer.call),
    "chunks of other rows": lambda peer: p.Outgoing(Kind.CHUNK, {"row": 7, "sample_rate": RATE}).frame(peer.call),
    "zeros": lambda peer: bytes(4096),
    "nothing": None,
}


def flooding(case, begun):
    """Send a chunk, and what the case says without end as soon as nobody wants more."""

    def act(peer, out):
        peer.sock.sendall(out.frame(peer.call))
        begun.set()
        while (frame := peer._theirs.receive(0.05)) is None or frame.kind not in {Kind.END, Kind.CANCEL}:
            if peer.killed.is_set():
                return
        if FLOODS[case] is not None:
            p.flood(peer, FLOODS[case](peer))
        peer.killed.wait()

    return act


def ended(request, case, *, joins=False):
    """Check that a request got `WorkerDied`; of many replies the first one is good, unless rows may still join."""
    if case == "replies" and not joins:
        assert request.result(LONGEST_S).finish_reason == "cancelled"
    else:
        with pytest.raises(errors.WorkerDied):
            request.result(LONGEST_S)


@pytest.mark.parametrize("joins", [False, True], ids=["batch", "joining"])
@pytest.mark.parametrize("case", FLOODS, ids=str)
def test_flood_after_cancelling(provider, case, joins):
    """The worker is killed, whether its flood is valid or not, and when it just does not stop."""
    begun = threading.Event()
    tts = provider(p.once(p.CHUNK, flooding(case, begun)), joins=joins)
    with ThreadPoolExecutor(1) as pool:
        request = pool.submit(tts.generate, "Hello.")
        assert begun.wait(10)
        tts.cancel()
        ended(request, case, joins=joins)
    assert timely(lambda: tts.generate("And on.")).duration > 0
    assert worker_of(tts)["starts"] == 2


@pytest.mark.parametrize("case", FLOODS, ids=str)
def test_close_in_time(provider, monkeypatch, case):
    """Whatever the worker does: when `close` returns it was killed."""
    monkeypatch.setattr("realtts.isolation.watchdog.CANCEL_GRACE_S", 1000.0)
    monkeypatch.setattr("realtts.isolation.client.STOP_GRACE_S", 1000.0)
    begun = threading.Event()
    tts = provider(p.once(p.CHUNK, flooding(case, begun)))
    with ThreadPoolExecutor(1) as pool:
        request = pool.submit(tts.generate, "Hello.")
        assert begun.wait(10)
        assert timely(lambda: tts.close(0.4)) is None
        assert provider.peers[0].killed.is_set()
        ended(request, case)
    assert len(provider.peers) == 1


@pytest.mark.parametrize("place", [p.GREETING, p.SETUP, p.LOAD, p.VOICES, p.CHUNK, p.REPLY, p.STOP])
def test_close_while_the_worker_is_silent(provider, monkeypatch, place):
    """Wherever it hangs, also when it should end."""
    monkeypatch.setattr("realtts.isolation.client.STOP_GRACE_S", 1000.0)
    silent = threading.Event()
    tts = provider(p.once(place, lambda peer, out: (silent.set(), peer.killed.wait())))
    with ThreadPoolExecutor(1) as pool:
        request = pool.submit(ASKING["voices" if place == p.VOICES else "generate"], tts)
        if place == p.STOP:
            request.result(LONGEST_S)
        else:
            assert silent.wait(10)
        assert timely(lambda: tts.close(0.4)) is None
        assert provider.peers[0].killed.is_set()
        if place != p.STOP:
            with pytest.raises((errors.WorkerDied, errors.ProviderClosed)):
                request.result(LONGEST_S)


@pytest.mark.parametrize("cancelled", [False, True], ids=["waiting", "cancelled"])
def test_worker_that_never_reads(provider, until, monkeypatch, cancelled):
    """A recording that nobody takes is not waited for beyond the limits, and cancelling it does not block."""
    if cancelled:
        monkeypatch.setattr("realtts.isolation.client.UNREAD_S", 1000.0)
    begun = threading.Event()

    def misbehave(peer, place, out):
        if place != p.LOAD:
            return False
        peer.sock.sendall(out.frame(peer.call))
        begun.set()
        peer.killed.wait()
        return True

    tts = provider(misbehave)
    noise = (0.1 * np.random.default_rng(0).standard_normal(48_000 * 30)).astype(np.float32)
    with ThreadPoolExecutor(1) as pool:
        request = pool.submit(tts.generate, "Hello.", voice=(noise, 48_000))
        assert begun.wait(10)
        if cancelled:
            worker, sending = tts._ladder._supervisor.worker, provider.peers[0].channel._sending
            # The socket takes a part of the recording, no more.
            until(lambda: worker._activity == "generating" and sending.locked())
            tts.cancel()
        with pytest.raises(errors.WorkerDied, match="cancellation" if cancelled else "read nothing"):
            request.result(LONGEST_S)
    assert timely(lambda: tts.generate("And on.")).duration > 0


FAILURE = {"stage": "generate", "error": {"kind": None, "name": "ValueError", "message": "no"}}


@pytest.mark.parametrize(
    "given_up",
    [
        {"ladder": None},
        {"ladder": {**STATE, "live": None}},
        {"ladder": STATE},
        {"ladder": {**p.reply(ladder=p.ladder(1))["ladder"]}},
        {"ladder": {**p.reply(ladder=p.ladder(1))["ladder"], "live": None}},
        {"poisoned": True},
        {"failure": FAILURE},
        {"error": {"kind": "StageFailed", "name": "x", "message": "no", "fields": FIELDS}},
    ],
    ids=["nothing", "no attempts", "still live", "lower and live", "good", "poisoned", "failure", "error"],
)
@pytest.mark.parametrize("ask", ["generate", "stream", "voices"])
def test_rungs_that_fail_without_end(provider, given_up, ask):
    """A worker that fails, gives the rung up and fails again, for ever, is found out."""

    def misbehave(peer, place, out):
        if place in {p.REPLY, p.VOICES}:
            out.content.update(failure=FAILURE)
        elif place == "give_up":
            out.content.update(given_up)
        peer.sock.sendall(out.frame(peer.call))
        return True

    def no_audio(peer, place, out):
        return place == p.CHUNK or misbehave(peer, place, out)

    tts = provider(*[no_audio] * 60)
    first = timely(lambda: ASKING[ask](tts))
    assert isinstance(first, errors.RealTTSError)
    json.dumps(tts.get_provider_status())
    assert len(provider.peers) < 40


def test_worker_that_is_gone_behind_an_open_channel(provider):
    """A process that it has started may keep the channel open."""

    def act(peer, out):
        peer._over.set()
        peer.killed.wait()

    refused(provider, p.CHUNK, act, "ended")
