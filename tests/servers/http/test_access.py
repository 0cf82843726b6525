"""Who comes in: keys, names, origins, headers that stand twice, methods."""

from __future__ import annotations

import socket

import pytest
from starlette.websockets import WebSocketDisconnect

from realtts.errors import SettingsError
from realtts_http import ServeConfig, create_app
from realtts_http.config import resolve_config
from realtts_http.listening import open_sockets

SPEECH = "/v1/audio/speech"
STREAM = "ws://127.0.0.1/v1/audio/speech/stream"
GOOD = {"model": "fake", "input": "alpha"}


@pytest.mark.parametrize(
    "origin",
    ["http://evil.example", "null", "http://127.0.0.1:1", "https://127.0.0.1.evil.example", "file://", "http://["],
)
def test_pages_of_other_origins_send_nothing(shared_client, origin):
    """What browsers let them send without asking: WebSockets, and forms that would save a voice."""
    with pytest.raises(WebSocketDisconnect), shared_client.websocket_connect(STREAM, headers={"origin": origin}):
        pass
    files = {"audio_sample": ("a.wav", b"x")}
    answer = shared_client.post("/v1/audio/voices", files=files, data={"name": "x"}, headers={"origin": origin})
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "origin_not_allowed")
    answer = shared_client.post(SPEECH, content=b"{}", headers={"origin": origin, "content-type": "text/plain"})
    assert answer.status_code == 403


@pytest.mark.parametrize("origin", ["http://127.0.0.1", "https://app.example", "HTTPS://APP.EXAMPLE"])
def test_pages_that_may(make_client, origin):
    """The server's own, and those that the configuration names."""
    client = make_client(cors_origins=("https://app.example/",))
    with client.websocket_connect(STREAM, headers={"origin": origin}) as live:
        live.send_text("[]")
        assert live.receive_json()["type"] == "error"
    answer = client.post("/v1/audio/voices", data={"name": "x"}, headers={"origin": origin})
    assert answer.status_code == 400  # for what it lacks


def test_openai_client_in_a_browser(make_client):
    """Its headers of its own are allowed to an origin that is named, and the page reads when to try again."""
    client = make_client(cors_origins=("https://app.example",))
    asks = {
        "origin": "https://app.example",
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization,content-type,x-stainless-lang,x-stainless-retry-count",
    }
    answer = client.options(SPEECH, headers=asks)
    assert answer.status_code == 200, answer.text
    answer = client.post(SPEECH, json=GOOD, headers={"origin": "https://app.example"})
    assert "retry-after" in answer.headers["access-control-expose-headers"].lower()


@pytest.mark.parametrize(
    ("content", "good", "bad"),
    [
        ("  # a comment\n sesame \n", "sesame", "# a comment"),
        ("\ufeffsesame\r\n\r\nother\r\n", "other", "sesame,other"),
        ("a=b/c+d==\n", "a=b/c+d==", "a=b/c+d="),
        ("two words\n", "two words", "two"),
        ("Sesame\n", "Sesame", "sesame"),
    ],
)
def test_keys_of_a_file(make_client, tmp_path, content, good, bad):
    """Lines without the blanks around them; comments are none, wherever they begin."""
    (tmp_path / "keys").write_bytes(content.encode())
    client = make_client(api_key_file=tmp_path / "keys")
    for form in ("Bearer {}", "bearer {}", "BEARER   {} "):
        assert client.get("/v1/models", headers={"authorization": form.format(good)}).status_code == 200
        assert client.get("/v1/models", headers={"authorization": form.format(bad)}).status_code == 401
    assert client.get("/v1/models", headers={"x-api-key": good}).status_code == 200
    assert client.get("/v1/models", headers={"authorization": "Basic x", "x-api-key": good}).status_code == 200
    assert client.get("/v1/models", headers={"authorization": f"Basic {good}"}).status_code == 401
    assert client.get("/v1/models", headers={"authorization": b"Bearer \xff\xfe\x80"}).status_code == 401
    assert client.get(f"/v1/models?api_key={good}").status_code == 401


@pytest.mark.parametrize(
    "content", [b"", b"# nothing\n \n", "schlüssel\n".encode(), b"a\tb\n", b"\xff\xfea", b"a\x00b\n"]
)
def test_files_without_a_usable_key(tmp_path, content):
    """Said before the server listens, without the key."""
    (tmp_path / "keys").write_bytes(content)
    with pytest.raises(SettingsError, match="Fix:") as caught:
        create_app(ServeConfig(api_key_file=tmp_path / "keys"))
    assert "schl" not in str(caught.value)


def test_a_handshake_that_is_refused_says_why(make_client, tmp_path):
    """With a status and a body, where the ASGI server can send them."""
    (tmp_path / "keys").write_text("sesame")
    with (
        pytest.raises(WebSocketDisconnect) as caught,
        make_client(api_key_file=tmp_path / "keys").websocket_connect(STREAM),
    ):
        pass
    assert caught.value.status_code == 401
    assert caught.value.json()["error"]["code"] == "invalid_api_key"


@pytest.mark.parametrize("name", ["host", "authorization", "content-type", "x-api-key", "content-encoding"])
def test_headers_that_stand_there_twice(shared_client, name):
    """Two layers might each read another one."""
    answer = shared_client.get("/v1/models", headers=[(name, "127.0.0.1"), (name, "localhost")])
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_header")
    assert shared_client.get("/v1/models", headers=[("accept", "a/b"), ("accept", "c/d")]).status_code == 200


@pytest.mark.parametrize(
    "path", ["/health", "/ready", "/", "/v1/models", "/v1/models/fake", "/v1/audio/voices", "/metrics"]
)
def test_head_is_get_without_a_body(shared_client, path):
    """As HTTP has it; load balancers ask so."""
    answer, head = shared_client.get(path), shared_client.head(path)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-type"] == answer.headers["content-type"]
    assert shared_client.head(SPEECH).status_code == 405


@pytest.mark.parametrize("length", ["9" * 25, "99999999999"])
def test_lengths_beyond_measure(shared_client, length):
    """Refused before a byte is read."""
    answer = shared_client.post(
        SPEECH, content=b"{}", headers={"content-length": length, "content-type": "application/json"}
    )
    assert answer.status_code == 413


@pytest.mark.parametrize(
    "path", ["/studio/..%2f..%2fetc/passwd", "/studio/%00", "/studio/%2e%2e/guard.py", "/studio/" + "x" * 5000]
)
def test_the_page_has_no_other_files(shared_client, path):
    """Whatever stands for a folder."""
    assert shared_client.get(path).status_code in {400, 404}


def test_an_address_that_is_taken():
    """Is told as any wrong setting is."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(SettingsError, match="cannot be listened on"):
            open_sockets("127.0.0.1", port)
    for host in ("x..y", "a" * 70, "1.2.3.4"):
        with pytest.raises(SettingsError, match="Fix: choose another"):
            open_sockets(host, 0)
    (free, *more) = open_sockets("localhost", 0)
    assert free.getsockname()[1]
    for each in (free, *more):
        each.close()


@pytest.mark.parametrize(
    ("name", "value"),
    [("PORT", "true"), ("MAX_LOADED", "1.5"), ("DRAIN_S", "nan"), ("ALIASES", "a=b,c"), ("VOICES", "=x"),
     ("STUDIO", "maybe"), ("PORT", "65536"), ("MAX_BODY_MB", "0"), ("MEMORY_MB", "-1"), ("API_KEY_FILES", "x")],
)  # fmt: skip
def test_wrong_variables(name, value):
    """Say which, and what would be right."""
    with pytest.raises(SettingsError, match=f"REALTTS_SERVE_{name}.*Fix:"):
        resolve_config({}, environ={f"REALTTS_SERVE_{name}": value})


@pytest.mark.parametrize(
    "table",
    ["port = true", "max_loaded = false", "providers = 'espeak'", "host = 5", "aliases = ['a']", "providers = [1]",
     "[serve.aliases]\nx = 1", "studio = 'perhaps'", "drain_s = inf", "[[serve.voices]]\nx = 'y'", "prot = 1",
     "memory_mb = true"],
)  # fmt: skip
def test_wrong_tables(tmp_path, table):
    """Say the file, and what would be right."""
    file = tmp_path / "realtts.toml"
    file.write_text(f"[serve]\n{table}\n")
    with pytest.raises(SettingsError, match=r"realtts\.toml.*Fix:"):
        resolve_config({}, environ={"REALTTS_CONFIG": str(file)})


def test_a_provider_that_is_named_twice(make_client):
    """Is served once."""
    app = create_app(ServeConfig(providers=("espeak", "espeak")))
    assert [model.name for model in app.state.server.models.all] == ["espeak"]
    app.state.server.models.close()
