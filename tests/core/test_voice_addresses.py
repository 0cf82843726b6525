"""A voice behind an address is refused unless a setting allows it, and then fetched within limits."""

from __future__ import annotations

import io
import socket

import numpy as np
import pytest
import soundfile as sf

from realtts import Settings
from realtts.contract.spec import ProviderSpec
from realtts.errors import VoiceNotFound, VoiceUnreadable, VoiceUnsupported
from realtts.voices import remote
from realtts.voices.lookup import find_voice

ADDRESS = "https://example.com/voices/one.wav?x=1"
SPEC = ProviderSpec(
    name="clones", summary="clones", sample_rates=(24_000,), plain="a.b:C", capabilities=frozenset({"clone"})
)
PUBLIC = "93.184.216.34"


class Answer:
    """Of a server."""

    def __init__(self, content=b"", status=200) -> None:
        self.status, self._content = status, io.BytesIO(content)

    def read1(self, size):
        """The next block."""
        return self._content.read(size)


@pytest.fixture
def server(monkeypatch):
    """Answers in place of a connection; what was asked for is kept."""
    asked = []

    def serve(content=b"", *, status=200, address=PUBLIC):
        class Connection:
            """As far as it is used."""

            def __init__(self, host, to, until) -> None:
                asked.append((host, to))

            def request(self, method, target, headers) -> None:
                """Keep it."""
                asked.append((method, target))

            def getresponse(self):
                """As was ordered."""
                return Answer(content, status)

            def cut(self) -> None:
                """Nothing to end."""

            def close(self) -> None:
                """Nothing to close."""

        addresses = [address] if isinstance(address, str) else address
        monkeypatch.setattr(
            socket, "getaddrinfo", lambda *_, **__: [(socket.AF_INET, 1, 6, "", (a, 443)) for a in addresses]
        )
        monkeypatch.setattr(remote, "_Pinned", Connection)
        return asked

    return serve


def wave():
    """A recording, as a WAV file."""
    file = io.BytesIO()
    samples = 0.3 * np.sin(np.arange(48_000) * 0.05)
    sf.write(file, samples, 24_000, format="WAV", subtype="FLOAT")
    return file.getvalue(), samples.astype(np.float32)


def find(voice, *, allowed=True):
    """As the facade asks for it."""
    return find_voice(voice, reference_text="said", spec=SPEC, settings=Settings(voice_urls=allowed))


def test_addresses_are_refused_by_default(server) -> None:
    """Without a look at the network; the error says how to allow them."""
    asked = server(wave()[0])
    with pytest.raises(VoiceUnsupported, match="voice_urls"):
        find_voice(ADDRESS, reference_text=None, spec=SPEC, settings=Settings())
    assert not asked


def test_an_allowed_address_is_fetched(server) -> None:
    """From the address that was looked at, and used as a recording with its words."""
    content, samples = wave()
    asked = server(content)
    voice = find(ADDRESS)
    assert asked == [("example.com", PUBLIC), ("GET", "/voices/one.wav?x=1")]
    assert np.array_equal(voice.samples, samples)
    assert (voice.sample_rate, voice.text) == (24_000, "said")


@pytest.mark.parametrize(
    "address",
    [
        "http://example.com/a.wav",
        "ftp://example.com/a.wav",
        "file:///etc/passwd",
        "https://user:word@example.com/a.wav",
        "https://example.com:8443/a.wav",
        "https://example.com:x/a.wav",
        "https:///a.wav",
    ],
)
def test_other_addresses_are_never_fetched(server, address) -> None:
    """Another scheme or port, a user's name, no host."""
    asked = server(wave()[0])
    with pytest.raises(VoiceUnsupported):
        find(address)
    assert not asked


@pytest.mark.parametrize(
    "private",
    ["127.0.0.1", "10.1.2.3", "192.168.0.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "::1", "fd00::1",
     "fe80::1%eth0", "::ffff:10.0.0.1", "224.0.0.1", "fec0::1", "feff::1", "::7f00:1", "1234::1"],
)  # fmt: skip
def test_private_addresses_are_never_asked(server, private) -> None:
    """Even if only one of a host's is such."""
    asked = server(wave()[0], address=[PUBLIC, private])
    with pytest.raises(VoiceUnsupported, match="private"):
        find(ADDRESS)
    assert not asked


@pytest.mark.parametrize(("status", "told"), [(302, "another address"), (404, "404"), (500, "500")])
def test_other_answers_are_told(server, status, told) -> None:
    """Redirects are not followed."""
    server(b"", status=status)
    with pytest.raises(VoiceNotFound, match=told):
        find(ADDRESS)


def test_too_much_is_left_unread(server, monkeypatch) -> None:
    """The limit of bytes."""
    monkeypatch.setattr(remote, "MOST_BYTES", 100_000)
    server(bytes(10_000_000))
    with pytest.raises(VoiceNotFound, match="larger"):
        find(ADDRESS)


def test_what_takes_too_long_is_given_up(server, monkeypatch) -> None:
    """The limit of time."""
    monkeypatch.setattr(remote, "MOST_SECONDS", -1.0)
    server(wave()[0])
    with pytest.raises(VoiceNotFound, match="longer"):
        find(ADDRESS)


def test_a_server_that_keeps_one_waiting_is_cut_off() -> None:
    """Also while its headers drip: the connection itself is ended."""
    ours, theirs = socket.socketpair()
    connection = remote._Pinned("example.com", PUBLIC, 0.0)
    connection.cut()  # not connected yet
    connection.sock = ours
    with remote._cut_at(0.0, connection), ours, theirs:
        assert ours.recv(1) == b""


def test_what_is_no_audio_is_told(server) -> None:
    """By its name in the address, not by that of a file that nobody knows."""
    server(b"<html>no</html>")
    with pytest.raises(VoiceUnreadable, match=r"one\.wav"):
        find(ADDRESS)


@pytest.mark.parametrize(
    "path", ["/Stimme%20eins.wav", "/Stimme eins.wav", "/größe.wav", "/a.wav?wer=zoë&x=1", "/日本.wav"]
)
def test_letters_of_any_script_may_stand_in_an_address(server, path) -> None:
    """They go to the server as its protocol has them."""
    asked = server(wave()[0])
    assert find(f"https://example.com{path}").samples.size
    method, target = asked[1]
    assert method == "GET"
    assert target.isascii()
    assert " " not in target
    assert "%25" not in target


@pytest.mark.parametrize("host", ["a" * 64 + ".com", ".example.com", "a..b", "\u00ad", "xn--a"])
def test_a_host_that_no_name_can_have(host) -> None:
    """A typed error before the network is asked."""
    with pytest.raises((VoiceNotFound, VoiceUnsupported)):
        find(f"https://{host}/a.wav")


def test_a_host_that_is_not_found(monkeypatch) -> None:
    """A typed error, too."""

    def fail(*_, **__):
        raise socket.gaierror(-2, "unknown")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with pytest.raises(VoiceNotFound, match="fetched"):
        find(ADDRESS)
