"""Hostile replies, made from the types of the messages by a seed: whole, wrong in a field, and wrong as bytes."""

import dataclasses
import json
import types
import typing

import hostile_peer as p
import numpy as np

from realtts.contract.events import Event
from realtts.testing.fake import RATE
from realtts.wire.calls import Reply
from realtts.wire.channel import MOST_BYTES, MOST_JSON, PROTOCOL, Kind
from realtts.wire.messages import ChunkMessage, LogMessage
from realtts.wire.reading import Hello
from realtts.wire.rows import RowOutcome

PLACES = (p.GREETING, p.SETUP, p.LOAD, p.VOICES, p.CHUNK, p.OUTCOME, p.REPLY)
FORMS = {
    Kind.HELLO: Hello,
    Kind.REPLY: Reply,
    Kind.CHUNK: ChunkMessage,
    Kind.OUTCOME: RowOutcome,
    Kind.EVENT: Event,
    Kind.LOG: LogMessage,
}
NAMES = ("StopIteration", "SystemExit", "KeyboardInterrupt", "GeneratorExit", "UnicodeDecodeError", "OSError", "x.Y")
KINDS = (None, "StageFailed", "LadderExhausted", "WorkerDied", "InstallFailed", "InputError", "Busy", "closest", "")
WORDS = ("", "stop", "optimized", "plain", "load", "é\udc80\0", "%s %d", "x" * 5000, "what", "../..", *NAMES)


def deep(levels, leaf=1):
    """Arrays inside arrays."""
    for _ in range(levels):
        leaf = [leaf]
    return leaf


EXTREMES = (
    *(None, True, False, 0, -1, 99, 2**31, 2**63, 10**4000, -(10**300), 0.5, -0.5, 1e308, float("nan"), float("inf")),
    *(*WORDS, [], {}, [None], ["a", 1], {"a": 1}, {"what": 5, "who": [], "fix": {}}, deep(70), deep(900)),
)


def instance(rng, form, levels=3):
    """Any value of a type, as it travels; of a number or a text an extreme one now and then."""
    if typing.get_origin(form) is typing.Annotated:
        return instance(rng, typing.get_args(form)[0], levels)
    origin, arguments = typing.get_origin(form), typing.get_args(form)
    if dataclasses.is_dataclass(form):
        hints = typing.get_type_hints(form, include_extras=True)
        if form.__name__ == "ErrorMessage":
            about = {"what": rng.choice(WORDS), "who": rng.choice(WORDS), "fix": rng.choice(WORDS), "more": [1]}
            cause = instance(rng, form, levels - 1) if levels and rng.random() < 0.5 else None
            chosen = {"kind": rng.choice(KINDS), "name": rng.choice(NAMES), "fields": about, "cause": cause}
            return {**{name: instance(rng, hints[name], levels - 1) for name in ("message", "traceback")}, **chosen}
        return {name: instance(rng, hint, levels - 1) for name, hint in hints.items() if name != "options"}
    if origin in {typing.Union, types.UnionType}:
        return instance(rng, rng.choice(arguments), levels)
    if origin is typing.Literal:
        return rng.choice(arguments)
    if origin is tuple:
        if arguments[-1] is ...:
            return [instance(rng, arguments[0], levels - 1) for _ in range(rng.choice((0, 1, 3)) if levels > 0 else 0)]
        return [instance(rng, one, levels - 1) for one in arguments]
    if origin is not None and issubclass(origin, typing.Mapping):
        keys = ("0", "1", "99") if arguments[0] is int else ("a", "stage", "compile", "device", "dtype")
        return {key: instance(rng, arguments[1], levels - 1) for key in rng.sample(keys, rng.choice((0, 1, 2)))}
    simple = {
        int: lambda: rng.choice((0, 1, 2, 99, 2**40, -5)),
        float: lambda: rng.choice((0.0, 0.5, 1e6, 1e300, -1.0)),
        bool: lambda: rng.random() < 0.5,
        str: lambda: rng.choice(WORDS),
        type(None): lambda: None,
    }
    return simple[form]() if form in simple else rng.choice(EXTREMES)


def places_in(value, path=()):
    """Every path to a part of a JSON value."""
    yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in inner:
        yield from places_in(part, (*path, key))


def mutated(rng, content):
    """The content with one part replaced, removed, or added."""
    content = json.loads(json.dumps(content, default=str))
    path = rng.choice(list(places_in(content)))
    if not path:
        return rng.choice([{**content, "unknown": rng.choice(EXTREMES)}, {"x": content}, {}])
    outer = content
    for key in path[:-1]:
        outer = outer[key]
    if rng.random() < 0.25 and isinstance(outer, dict):
        del outer[path[-1]]
    else:
        outer[path[-1]] = rng.choice(EXTREMES)
    return content


def samples(rng):
    """Bytes for a chunk: good, odd in number, not finite, none, or loud."""
    values = np.full(160, 0.1, np.float32)
    odd = rng.choice(("good", "odd", "nan", "inf", "none", "loud"))
    if odd in {"nan", "inf", "loud"}:
        values[rng.randrange(160)] = {"nan": np.nan, "inf": -np.inf, "loud": 3e38}[odd]
    return {"odd": values.tobytes()[:-3], "none": b""}.get(odd, values.tobytes())


def of_other_types(rng, peer, out):
    """A message of any kind that a worker may send, its fields anything of their types."""
    kind = rng.choice([out.kind, out.kind, *FORMS])
    content = instance(rng, FORMS[kind])
    if kind in {Kind.CHUNK, Kind.OUTCOME} and rng.random() < 0.7:
        content.update(row=rng.choice((0, 0, 1, 99)))
    if kind is Kind.CHUNK and rng.random() < 0.7:
        content.update(sample_rate=rng.choice((RATE, RATE, 0, 8000)))
    data = samples(rng) if kind is Kind.CHUNK else b""
    peer.sock.sendall(p.Outgoing(kind, content, data).frame(peer.call))
    if kind is not out.kind:
        peer.sock.sendall(out.frame(peer.call))


def wrong_field(rng, peer, out):
    """The right message, wrong in one place or in two."""
    content = mutated(rng, out.content)
    out = p.Outgoing(out.kind, mutated(rng, content) if rng.random() < 0.3 else content, out.data)
    peer.sock.sendall(out.frame(peer.call))


def wrong_samples(rng, peer, out):
    """Samples that are none, beside whatever message."""
    peer.sock.sendall(out.frame(peer.call, data=samples(rng)))


def wrong_bytes(rng, peer, out):
    """A frame that is none: its header, its JSON or its end."""
    call, text = peer.call, json.dumps(out.content, default=str).encode()
    whole = out.frame(call)
    choices = [
        lambda: out.frame(call, magic=b"GET "),
        lambda: out.frame(call, version=rng.choice((0, PROTOCOL + 1, 255))),
        lambda: out.frame(call, kind=rng.choice((0, 2, 5, 6, 7, 10, 11, 13, 255))),
        lambda: out.frame(call, sizes=(MOST_JSON + 1, 0)),
        lambda: out.frame(call, sizes=(len(text), MOST_BYTES + 1)),
        lambda: out.frame(call, sizes=(2**32 - 1, 2**32 - 1)),
        lambda: out.frame(call, text=b"\xff\xfe" + text),
        lambda: out.frame(call, text=text.decode().encode("utf-16")),
        lambda: out.frame(call, text=b'{"a": "\xc3\x28"}'),
        lambda: out.frame(call, text=b"[" * 100_000),
        lambda: out.frame(call, text=b'{"a":' * 50_000 + b"1" + b"}" * 50_000),
        lambda: out.frame(call, text=rng.choice((b"", b"null", b"[]", b'"x"', b"1", b"{]", b"NaN", b"9" * 6000))),
        lambda: out.frame(call, text=b'{"a": ' + b"9" * 5000 + b"}"),
        lambda: rng.randbytes(rng.choice((1, 15, 16, 17, 4000))),
        lambda: whole[: rng.randrange(1, len(whole))],
    ]
    peer.sock.sendall(rng.choice(choices)())
    if rng.random() < 0.5:
        peer.kill()


def wrong_moment(rng, peer, out):
    """Good frames where nobody asked for them: twice, of another call, of another kind, or without an end."""
    call, good = peer.call, out.frame(peer.call)
    chunk = p.Outgoing(Kind.CHUNK, {"row": 0, "sample_rate": RATE}, np.full(160, 0.1, np.float32).tobytes())
    end = p.Outgoing(Kind.OUTCOME, {"row": 0})
    answer, hello = p.Outgoing(Kind.REPLY, p.reply()), p.Outgoing(Kind.HELLO, {"realtts": "1", "python": "3"})
    event = p.Outgoing(Kind.EVENT, {"name": "e", "provider": "", "data": {}, "at": 1.0})
    choices = [
        lambda: peer.sock.sendall(good + good),
        lambda: peer.sock.sendall(good + answer.frame(call)),
        lambda: peer.sock.sendall(good + chunk.frame(call) * rng.choice((1, 5, 50))),
        lambda: peer.sock.sendall(good + end.frame(call) * rng.choice((1, 2))),
        lambda: peer.sock.sendall(end.frame(call) + good),
        lambda: p.flood(peer, end.frame(call)),
        lambda: peer.sock.sendall(out.frame((call + rng.choice((1, 7))) % 65536)),
        lambda: peer.sock.sendall(answer.frame(max(0, call - 1)) + good),
        lambda: peer.sock.sendall(hello.frame(call) + good),
        lambda: peer.sock.sendall(event.frame(call) * 2000 + good),
        lambda: p.flood(peer, chunk.frame(call)),
        lambda: p.flood(peer, answer.frame(call)),
        lambda: p.flood(peer, good),
        lambda: peer.sock.sendall(chunk.frame(call) + good),
        peer.kill,
    ]
    rng.choice(choices)()


ATTACKS = (of_other_types, of_other_types, wrong_field, wrong_field, wrong_samples, wrong_bytes, wrong_moment)


def attack(rng):
    """A worker that misbehaves once, somewhere; and what it does, for messages."""
    place, act = rng.choice(PLACES), rng.choice(ATTACKS)
    return p.once(place, lambda peer, out: act(rng, peer, out)), f"{act.__name__} at {place}"


def is_sound_audio(audio):
    """Tell whether a chunk or a speech is one that an application may rely on."""
    return (
        audio.samples.dtype == np.float32
        and audio.samples.ndim == 1
        and bool(np.isfinite(audio.samples).all())
        and audio.sample_rate == RATE
        and audio.finish_reason in {None, "stop", "length", "cancelled"}
        and all(isinstance(warning, str) for warning in audio.warnings)
    )
