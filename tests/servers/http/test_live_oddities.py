"""What clients of the WebSocket do that nobody expects of them."""

from __future__ import annotations

import asyncio
import contextlib
import json
from concurrent.futures import CancelledError

import pytest
from starlette.websockets import WebSocketDisconnect
from waiting import until

PATH = "ws://127.0.0.1/v1/audio/speech/stream"
START = {"type": "speech.start", "id": "a", "model": "fake", "voice": "low", "seed": 1}
SLOW = {**START, "options": {"delay_s": 0.05}}
LAST = {"speech.done", "speech.cancelled", "error"}


def until_type(live, *kinds):
    """The first message of one of these types."""
    while (message := live.receive_json())["type"] not in kinds:
        pass
    return message


def speak(live, text="alpha", **fields):
    """A whole utterance; its last message."""
    name = fields.get("id", "a")
    live.send_json({**START, **fields})
    live.send_json({"type": "speech.text", "id": name, "text": text})
    live.send_json({"type": "speech.end", "id": name})
    while (message := live.receive_json())["type"] not in LAST or message["id"] != name:
        pass
    return message


@pytest.mark.parametrize(
    ("message", "code", "param"),
    [
        ('{"type": "speech.start", "id": "a", "speed": 99}', "invalid_value", "speed"),
        ('{"type": "speech.start", "id": "a", "speed": NaN}', "invalid_json", None),
        ('{"type": "speech.start", "id": "a", "id": "a"}', "invalid_json", None),
        ('{"type": "speech.start", "id": "a", "seed": ' + "9" * 5000 + "}", "invalid_json", None),
        ('{"type": "speech.start", "id": "a", "voice": "\\ud800"}', "invalid_json", None),
        ('{"type": "speech.start", "id": "a", "options": ' + "[" * 999 + "]" * 999 + "}", "invalid_json", None),
        ('{"type": "speech.start", "id": "a", "voice": {"id": 3}}', "invalid_value", "voice.id"),
        ('{"type": "speech.start", "id": "a", "sped": 1}', "unknown_field", "sped"),
        ('{"type": "speech.start", "id": "a", "response_format": "exe"}', "invalid_value", "response_format"),
        (
            '{"type": "speech.start", "id": "a", "options": {"voice_path": "/etc/passwd"}}',
            "unknown_option",
            "voice_path",
        ),
        ('{"type": "speech.start", "id": "a", "ref_audio": "/etc/passwd"}', "invalid_recording", "ref_audio"),
        ('{"type": "speech.start"}', "missing_field", "id"),
        ('{"type": "speech.start", "id": "' + "x" * 65 + '"}', "invalid_value", "id"),
        ('{"type": "speech.flush", "id": "a", "now": true}', "unknown_field", "now"),
        ('{"type": "speech.tex", "id": "a", "text": "x"}', "invalid_value", "type"),
        ('{"type": ["speech.text"], "id": "a"}', "invalid_value", "type"),
        ('{"id": "a"}', "missing_field", "type"),
        ("null", "invalid_value", None),
        ("", "invalid_json", None),
    ],
)
def test_faults_are_named_as_they_were_sent(shared_client, message, code, param):
    """With the field and the utterance; nothing has begun, and the connection goes on."""
    with shared_client.websocket_connect(PATH) as live:
        live.send_text(message)
        answer = live.receive_json()
        assert answer["type"] == "error", answer
        assert (answer["error"]["code"], answer["error"]["param"]) == (code, param), answer
        if code not in {"invalid_json", "missing_field"} and '"id": "a"' in message:
            assert answer["id"] == "a"
        if answer["id"] == "a" and "speech.start" in message:
            assert answer["ended"] is True
        assert speak(live)["type"] == "speech.done"


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ({"type": "speech.start", "id": "a"}, "utterance_exists"),
        ({"type": "speech.start", "id": "a", "speed": 99}, "invalid_value"),
        ({"type": "speech.text", "id": "a"}, "missing_field"),
        ({"type": "speech.text", "id": "a", "text": "x" * 60}, "input_too_long"),
        ({"type": "speech.flush", "id": "a", "x": 1}, "unknown_field"),
    ],
)
def test_a_wrong_message_ends_no_utterance(make_client, message, code):
    """The answer says so, and what came before is spoken."""
    with make_client(max_input_chars=50).websocket_connect(PATH) as live:
        live.send_json(START)
        live.send_json({"type": "speech.text", "id": "a", "text": "alpha beta"})
        live.send_json(message)
        answer = until_type(live, "error")
        assert (answer["error"]["code"], answer["id"], answer["ended"]) == (code, "a", False)
        live.send_json({"type": "speech.end", "id": "a"})
        assert until_type(live, *LAST)["usage"]["input_tokens"] == len("alpha beta")


@pytest.mark.parametrize(
    "messages",
    [
        [{"type": "speech.text", "id": "b", "text": "x"}],
        [{"type": "speech.flush", "id": "b"}],
        [{"type": "speech.end", "id": "b"}],
        [{**START, "id": "b"}, {"type": "speech.cancel", "id": "b"}, {"type": "speech.text", "id": "c", "text": "x"}],
    ],
)
def test_messages_about_nobody(shared_client, messages):
    """Are told; a cancel of what has ended is no fault."""
    with shared_client.websocket_connect(PATH) as live:
        live.send_json({"type": "speech.cancel", "id": "b"})
        for message in messages:
            live.send_json(message)
        answer = until_type(live, "error")
        assert (answer["error"]["code"], answer["ended"]) == ("utterance_not_found", True)
        assert speak(live)["type"] == "speech.done"


@pytest.mark.parametrize("between", [[], ["text"], ["text", "flush"], ["text", "end"], ["end"]])
def test_a_cancel_that_comes_at_once(shared_client, between):
    """Before anything was done for the utterance, too."""
    with shared_client.websocket_connect(PATH) as live:
        for number in range(5):
            live.send_json({**SLOW, "id": str(number)})
            for kind in between:
                text = {"text": "word " * 200} if kind == "text" else {}
                live.send_json({"type": f"speech.{kind}", "id": str(number), **text})
            live.send_json({"type": "speech.cancel", "id": str(number)})
            if between != ["end"]:  # which is done before the cancel comes
                assert until_type(live, *LAST)["type"] == "speech.cancelled"


def test_an_id_is_used_again(shared_client):
    """Behind the last message it is free."""
    with shared_client.websocket_connect(PATH) as live:
        for _ in range(20):
            assert speak(live)["type"] == "speech.done"


@pytest.mark.parametrize("parts", [["", "alpha", ""], ["a"] * 300, ["alpha. ", "\n\n", " ", "beta"], [" \n", "\t"], []])
def test_texts_in_odd_parts(shared_client, parts):
    """Empty ones, single letters, blanks, floods of flushes, none at all."""
    with shared_client.websocket_connect(PATH) as live:
        live.send_json(START)
        for part in parts:
            live.send_json({"type": "speech.text", "id": "a", "text": part})
            for _ in range(3 if part == "alpha" else 0):
                live.send_json({"type": "speech.flush", "id": "a"})
        for _ in range(3):
            live.send_json({"type": "speech.end", "id": "a"})
        assert until_type(live, *LAST)["type"] == "speech.done"


def test_what_cannot_be_said_names_the_text(shared_client):
    """As the field of the message that brought it."""
    with shared_client.websocket_connect(PATH) as live:
        answer = speak(live, "a\u0000b. ")
        assert (answer["type"], answer["error"]["param"], answer["ended"]) == ("error", "text", True)


def test_a_recording_larger_than_a_frame_of_old(shared_client):
    """A message may be as large as a body."""
    with shared_client.websocket_connect(PATH) as live:
        live.send_json({**START, "voice": None, "ref_audio": "QUJD" * 400_000})
        assert until_type(live, "error")["error"]["code"] == "invalid_recording"


def test_the_connection_ends_with_the_server(client):
    """Behind the last utterance; none begins."""
    gate = client.app.state.server.gate
    with client.websocket_connect(PATH) as live, client.websocket_connect(PATH) as idle:
        live.send_json(SLOW)
        live.send_json({"type": "speech.text", "id": "a", "text": "word " * 6})
        until_type(live, "speech.started")
        client.portal.call(gate.close)
        with pytest.raises(WebSocketDisconnect) as caught:
            idle.receive_json()
        assert caught.value.code == 1001
        live.send_json({**START, "id": "b"})
        assert until_type(live, "error")["error"]["code"] == "shutting_down"
        live.send_json({"type": "speech.end", "id": "a"})
        assert until_type(live, *LAST)["type"] == "speech.done"
        with pytest.raises(WebSocketDisconnect):
            live.receive_json()


def test_utterances_are_counted(client):
    """Their audio, when it began, and those that were cancelled."""
    with client.websocket_connect(PATH) as live:
        speak(live, "alpha beta")
        live.send_json({**SLOW, "id": "b"})
        live.send_json({"type": "speech.text", "id": "b", "text": "word " * 99})
        until_type(live, "speech.started")
        live.send_json({"type": "speech.cancel", "id": "b"})
        until_type(live, "speech.cancelled")
    text = client.get("/metrics").text
    assert 'realtts_first_audio_seconds_count{model="fake"} 1.0' in text
    assert 'realtts_streams_aborted_total{model="fake"} 1.0' in text


@pytest.mark.full
def test_floods_of_pings_and_large_frames(serve):
    """On a socket: pings are answered, a frame above the limit ends its connection alone, so does text that is none."""
    from websockets.exceptions import ConnectionClosed
    from websockets.sync.client import connect

    running = serve(max_body_mb=0.1)
    url = f"ws://127.0.0.1:{running.port}/v1/audio/speech/stream"
    with connect(url) as steady:
        pongs = [steady.ping(str(number)) for number in range(200)]
        for frame in ("x" * 20_000_000, b"\xff" * 10):
            with connect(url) as other:
                with contextlib.suppress(ConnectionClosed):
                    other.send(frame)
                with pytest.raises(ConnectionClosed):
                    other.recv(timeout=20)
        assert pongs[-1].wait(20)
        steady.send(json.dumps(START))
        assert json.loads(steady.recv(timeout=20))["type"] == "speech.started"


def test_a_model_is_free_behind_a_lost_connection(client):
    """Also when the connection ends right behind the start of many utterances."""
    model = client.app.state.server.models.find("fake")
    # The client cancels the server's task when it leaves; it may hear of that before the task has ended by itself.
    with contextlib.suppress(CancelledError), client.websocket_connect(PATH) as live:
        for number in range(16):
            live.send_json({**SLOW, "id": str(number)})
            live.send_json({"type": "speech.text", "id": str(number), "text": "word " * 50})
    until(lambda: not (model.users or model.provider.get_provider_status()["queue"]["running"]))
    assert not [task for task in client.portal.call(_tasks) if "utterance" in task]


async def _tasks():
    await asyncio.sleep(0)
    return [str(task.get_coro()) for task in asyncio.all_tasks()]
