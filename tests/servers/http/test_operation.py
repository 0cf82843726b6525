"""Running a server: who comes in, limits, models in memory, metrics, the end."""

from __future__ import annotations

import json
import logging
import socket
import threading

import httpx
import pytest
from waiting import until

from realtts.errors import SettingsError
from realtts.testing import fake_spec
from realtts_http.config import ServeConfig, resolve_config

GOOD = {"model": "fake", "voice": "low", "input": "alpha beta"}
SLOW = {**GOOD, "input": "word " * 400, "options": {"delay_s": 0.05}}


# -- who comes in ------------------------------------------------------------------------------------------------------


@pytest.fixture
def keyed(make_client, tmp_path):
    """A client of a server that asks for a key."""
    keys = tmp_path / "keys.txt"
    keys.write_text("# for tests\nsesame\nother\n")
    return make_client(api_key_file=keys)


@pytest.mark.parametrize(
    "headers", [{}, {"authorization": "Bearer wrong"}, {"authorization": "sesame"}, {"authorization": "Bearer "},
                {"x-api-key": "ses"}],
)  # fmt: skip
def test_without_the_key_nobody_speaks(keyed, headers):
    """401, whichever way it is missing."""
    answer = keyed.post("/v1/audio/speech", json=GOOD, headers=headers)
    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "invalid_api_key"
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("path", ["/v1/models", "/v1/audio/voices", "/v1/status", "/metrics", "/docs", "/openapi.json"])
def test_everything_asks_for_the_key(keyed, path):
    """But what tells that the process lives."""
    assert keyed.get(path).status_code == 401
    assert keyed.get(path, headers={"authorization": "Bearer other"}).status_code == 200
    assert keyed.get("/health").status_code == keyed.get("/ready").status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:8000", ""])
def test_pages_of_other_hosts_do_not_reach_a_local_server(client, host):
    """A name that leads here by DNS alone is refused."""
    assert client.get("/v1/models", headers={"host": host}).status_code == 403


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:1234", "127.0.0.1:8000", "[::1]:80", "192.168.1.4", "tts.lan"]
)
def test_hosts_that_are_meant(make_client, host):
    """This machine by name or address, and what the configuration allows."""
    assert make_client(allowed_hosts=("tts.lan",)).get("/v1/models", headers={"host": host}).status_code == 200


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.4", "tts.lan"])
def test_an_open_address_needs_a_key(host):
    """Or the explicit word that it needs none."""
    with pytest.raises(SettingsError, match="--no-key"):
        resolve_config({"host": host}, environ={})
    assert resolve_config({"host": host, "no_key": True}, environ={}).host == host


def test_other_origins_are_closed_unless_named(make_client):
    """No header lets their pages read answers."""
    origin = {"origin": "https://app.example"}
    assert "access-control-allow-origin" not in make_client().get("/health", headers=origin).headers
    opened = make_client(cors_origins=("https://app.example",)).get("/health", headers=origin)
    assert opened.headers["access-control-allow-origin"] == "https://app.example"


# -- limits ------------------------------------------------------------------------------------------------------------


def test_large_bodies_are_refused(make_client):
    """By their announced length, and by what really comes."""
    client = make_client(max_body_mb=0.01)
    large = json.dumps({**GOOD, "input": "x" * 20_000}).encode()
    kind = {"content-type": "application/json"}
    assert client.post("/v1/audio/speech", content=large, headers=kind).status_code == 413
    parts = (large[at : at + 1000] for at in range(0, len(large), 1000))
    answer = client.post("/v1/audio/speech", content=parts, headers=kind)
    assert answer.status_code == 413
    assert answer.json()["error"]["code"] == "body_too_large"


def test_half_open_requests_end(serve):
    """A body that never comes holds nothing for longer than the limit."""
    running = serve(body_timeout_s=0.3)
    with socket.create_connection(("127.0.0.1", running.port)) as half:
        half.sendall(b"POST /v1/audio/speech HTTP/1.1\r\nhost: localhost\r\ncontent-length: 99\r\n\r\n{")
        until(lambda: running.state.gate.running == 1)
        until(lambda: running.state.gate.running == 0)
    assert httpx.post(f"{running.url}/v1/audio/speech", json=GOOD).status_code == 200


# -- clients that go away ----------------------------------------------------------------------------------------------


def test_a_client_that_leaves_stops_the_model(serve):
    """While it is spoken, and before the first audio."""
    running = serve()
    model = running.state.models.find("fake")
    for wait_for_audio in (True, False):
        slow = SLOW if wait_for_audio else {**SLOW, "options": {"delay_s": 2.0}}
        with socket.create_connection(("127.0.0.1", running.port)) as leaving:
            content = json.dumps(slow).encode()
            head = f"POST /v1/audio/speech HTTP/1.1\r\nhost: localhost\r\ncontent-length: {len(content)}\r\n"
            leaving.sendall(f"{head}content-type: application/json\r\n\r\n".encode() + content)
            if wait_for_audio:
                assert leaving.recv(100).startswith(b"HTTP/1.1 200")
            until(lambda: model.provider.get_provider_status()["queue"]["running"] == 1)
        until(lambda: model.users == 0 and model.provider.get_provider_status()["queue"]["running"] == 0)


# -- models in memory --------------------------------------------------------------------------------------------------


def test_the_least_used_model_makes_room(make_client):
    """At most as many are loaded as the configuration says."""
    client = make_client(fake_spec(name="one"), fake_spec(name="two"), fake_spec(name="three"), max_loaded=2)
    models = client.app.state.server.models

    def loaded():
        return {model.name for model in models.all if model.is_loaded}

    for name, expected in (
        ("one", {"one"}), ("two", {"one", "two"}), ("one", {"one", "two"}), ("three", {"one", "three"}),
        ("two", {"two", "three"}),
    ):  # fmt: skip
        assert client.post("/v1/audio/speech", json={**GOOD, "model": name}).status_code == 200
        assert loaded() == expected


def test_a_model_that_speaks_is_not_unloaded(serve):
    """The other one waits until it is done."""
    running = serve(fake_spec(name="one"), fake_spec(name="two"), max_loaded=1)
    slow = {**SLOW, "model": "one", "input": "word " * 10}
    answers = []
    first = threading.Thread(target=lambda: answers.append(httpx.post(f"{running.url}/v1/audio/speech", json=slow)))
    first.start()
    until(lambda: running.state.models.find("one").users == 1)
    second = httpx.post(f"{running.url}/v1/audio/speech", json={**GOOD, "model": "two"}, timeout=20)
    first.join(20)
    assert [second.status_code, answers[0].status_code] == [200, 200]
    assert not running.state.models.find("one").is_loaded


def test_models_take_turns_under_load(serve, monkeypatch):
    """A model that is asked for all the time does not keep another one out for ever; every answer is right."""
    monkeypatch.setattr("realtts.serving.models._TURN_S", 0.05)
    running = serve(fake_spec(name="one"), fake_spec(name="two"), max_loaded=1)
    body = {**GOOD, "options": {"delay_s": 0.02}}
    over, statuses = threading.Event(), []

    def ask(name):
        with httpx.Client(timeout=30) as client:
            while not over.is_set():
                answer = client.post(f"{running.url}/v1/audio/speech", json={**body, "model": name})
                statuses.append((name, answer.status_code))

    askers = [threading.Thread(target=ask, args=(name,)) for name in ("one", "one", "one", "two", "two", "two")]
    for asker in askers:
        asker.start()
    until(lambda: all(statuses.count((name, 200)) >= 2 for name in ("one", "two")))
    over.set()
    for asker in askers:
        asker.join(30)
    assert {status for _, status in statuses} == {200}
    assert not any(model.users for model in running.state.models.all)


def test_preload_is_told_by_ready(make_client):
    """Requests are taken meanwhile."""
    client = make_client(preload=True)
    until(lambda: client.get("/ready").status_code == 200)
    assert client.app.state.server.models.find("fake").is_loaded


# -- the end -----------------------------------------------------------------------------------------------------------


def test_draining_ends_what_was_begun(serve):
    """New requests get 503 with a time, the running one its whole answer."""
    running = serve()
    answers = []
    slow = {**SLOW, "input": "word " * 12, "response_format": "pcm"}
    begun = threading.Thread(target=lambda: answers.append(httpx.post(f"{running.url}/v1/audio/speech", json=slow)))
    begun.start()
    until(lambda: running.state.gate.running == 1)
    import asyncio

    drained = asyncio.run_coroutine_threadsafe(running.state.gate.drain(20), running.loop)
    until(lambda: running.state.gate.draining)
    refused = httpx.post(f"{running.url}/v1/audio/speech", json=GOOD)
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
    assert httpx.get(f"{running.url}/ready").status_code == 503
    drained.result(20)
    begun.join(20)
    assert answers[0].status_code == 200
    assert len(answers[0].content) == pytest.approx(24_000 * 2 * 0.1 * 12, rel=0.02)


# -- what it tells -----------------------------------------------------------------------------------------------------


def test_metrics_count(client):
    """Requests by endpoint and code, audio, first audio, models."""
    client.post("/v1/audio/speech", json=GOOD)
    client.post("/v1/audio/speech", json={**GOOD, "voice": "nobody"})
    text = client.get("/metrics").text
    assert 'realtts_requests_total{code="",endpoint="/v1/audio/speech",status="200"} 1.0' in text
    assert 'status="400"} 1.0' in text
    assert 'realtts_audio_seconds_total{model="fake"} 0.2' in text
    assert 'realtts_first_audio_seconds_count{model="fake"} 1.0' in text
    assert 'realtts_model_loaded{model="fake"} 1.0' in text


def test_the_status_names_no_folder(client, tmp_path):
    """Every provider's status, without paths and tracebacks."""
    client.post("/v1/audio/speech", json=GOOD)
    answer = client.get("/v1/status")
    assert answer.json()["models"]["fake"]["state"] == "ready"
    assert str(tmp_path) not in answer.text


def test_the_log_has_no_text(make_client, caplog):
    """A line of JSON per request, with its id and without what was said."""
    client = make_client()
    object.__setattr__(client.app.state.server.config, "access_log", True)
    with caplog.at_level(logging.INFO, "realtts.http.access"):
        answer = client.post("/v1/audio/speech?secret=1", json={**GOOD, "input": "private words"})
    line = json.loads(caplog.records[-1].message)
    assert (line["path"], line["status"], line["id"]) == ("/v1/audio/speech", 200, answer.headers["x-request-id"])
    assert "private" not in caplog.text
    assert "secret" not in caplog.text


# -- the configuration -------------------------------------------------------------------------------------------------


def test_layers_of_the_configuration(tmp_path, monkeypatch):
    """The command line, then the environment, then the file."""
    file = tmp_path / "realtts.toml"
    file.write_text('[serve]\nport = 1111\nproviders = ["a", "b"]\n[serve.aliases]\nx = "a"\n')
    environ = {"REALTTS_CONFIG": str(file), "REALTTS_SERVE_PORT": "2222", "REALTTS_SERVE_CORS_ORIGINS": "p, q"}
    config = resolve_config({"port": None, "max_loaded": 3}, environ=environ)
    assert (config.port, config.providers, config.aliases) == (2222, ("a", "b"), {"x": "a"})
    assert (config.cors_origins, config.max_loaded) == (("p", "q"), 3)
    assert resolve_config({"port": 3333}, environ=environ).port == 3333


@pytest.mark.parametrize(
    "environ", [{"REALTTS_SERVE_PORT": "x"}, {"REALTTS_SERVE_PROT": "1"}, {"REALTTS_SERVE_MAX_LOADED": "0"}]
)
def test_wrong_configurations_say_where(environ):
    """With the variable and a fix."""
    with pytest.raises(SettingsError, match="REALTTS_SERVE_"):
        resolve_config({}, environ=environ)


def test_every_field_is_described():
    """The reference is made of these."""
    assert all(field.description for field in ServeConfig.model_fields.values())
