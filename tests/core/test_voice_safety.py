"""Saved voices are private, their names work on every system, and addresses that carry private ones are refused."""

import ipaddress
import os
import stat
import sys

import numpy as np
import pytest

from realtts.errors import VoiceError, VoiceNotFound
from realtts.voices import VoiceStore, remote
from realtts.voices.naming import check_name

RATE = 16_000
POSIX = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")


def noise():
    """A recording."""
    return (0.1 * np.random.default_rng(0).standard_normal(RATE)).astype(np.float32), RATE


def mode(path):
    """The permissions of a file."""
    return stat.S_IMODE(path.stat().st_mode)


@POSIX
@pytest.mark.parametrize("mask", [0o000, 0o022, 0o027, 0o077, 0o177])
@pytest.mark.parametrize("before", [None, 0o755, 0o777])
def test_only_the_owner_reads_a_saved_voice(tmp_path, mask, before):
    """Whatever the umask is, and whoever could read the folder before."""
    folder = tmp_path / "voices"
    if before is not None:
        folder.mkdir()
        folder.chmod(before)
    umask = os.umask(mask)
    try:
        saved = VoiceStore(folder).add("anna", noise(), text="words")
    finally:
        os.umask(umask)
    assert mode(folder) == mode(saved.folder) == 0o700
    assert {file.name: mode(file) for file in saved.folder.iterdir()} == {"voice.wav": 0o600, "voice.json": 0o600}
    assert VoiceStore(folder).get("anna").text == "words"


BAD_NAMES = [
    "COM¹", "com²", "LPT³", "lpt0", "COM1.wav", "COM¹.x.y", "nul.txt", "CONIN$", "conout$", "ＣＯＭ１", "aux.", "Prn",
    "\u0301", "\u0301a", "\u093e", "a\u202eb", "a/b", "a\\b", "..", ".a", "a.", "a ", " a", "a:b", "a*", "a?", "a|b",
    "a\x00b", "a\nb", "\x7f", "\ud800", "a" * 65, "é" * 200, "", " ", "~",
]  # fmt: skip


@pytest.mark.parametrize("name", BAD_NAMES, ids=ascii)
def test_a_name_that_some_system_cannot_keep_is_refused(tmp_path, name):
    """With a typed error, for adding as for reading and removing."""
    store = VoiceStore(tmp_path / "voices")
    with pytest.raises(VoiceError):
        store.add(name, noise())
    with pytest.raises(VoiceNotFound):
        store.get(name)
    with pytest.raises(VoiceNotFound):
        store.remove(name)


@pytest.mark.parametrize("name", [None, 5, 1.5, b"anna", ["anna"], ("a", 1), object(), True])
def test_a_name_that_is_no_text_is_refused(tmp_path, name):
    """With a typed error."""
    store = VoiceStore(tmp_path / "voices")
    with pytest.raises(VoiceError, match="no text"):
        store.add(name, noise())
    with pytest.raises(VoiceNotFound):
        store.get(name)


@pytest.mark.parametrize("name", ["anna", "Zoë", "Zoe\u0308", "अनीता", "com10", "console", "a.b", "x-1_y", "com", "¹"])
def test_a_usual_name_is_taken(name):
    """Letters with their marks in any script; names that only look like a device's."""
    assert check_name(name)


_WRONG = b'{"name":%s,"sample_rate":%s,"samples":1,"digest":"","created":""}'
DAMAGED = [
    b"", b"{", b"[1]", b"\xff\xfe{", b'{"name": 5}', b"[" * 9999, b'{"name": NaN}',
    _WRONG % (b'"anna"', b"true"), _WRONG % (b'"anna"', b"1e99"), _WRONG % (b'["anna"]', b"9"),
]  # fmt: skip


@pytest.mark.parametrize("content", DAMAGED)
def test_damaged_facts_of_a_voice_are_listed_as_its_fault(tmp_path, content):
    """Other voices are not hidden by it, and it can be removed."""
    store = VoiceStore(tmp_path / "voices")
    store.add("anna", noise())
    store.add("ben", noise())
    (tmp_path / "voices" / "anna" / "voice.json").write_bytes(content)
    assert store.names() == ("ben",)
    assert [saved.fault is None for saved in store.list()] == [False, True]
    with pytest.raises(VoiceError):
        store.get("anna")
    store.remove("anna")


PRIVATE = [
    "10.0.0.1", "127.0.0.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1", "255.255.255.255", "::1", "::",
    "fe80::1", "fc00::1", "ff02::1", "2001:db8::1",
    "::ffff:10.0.0.1", "::ffff:127.0.0.1", "::127.0.0.1", "::ffff:0:10.0.0.1",
    "64:ff9b::10.0.0.1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::192.168.1.1", "64:ff9b:1:ffff::127.0.0.1",
    "2002:7f00:1::", "2002:a00:1::1", "2002:c0a8:101::1", "2002:a9fe:a9fe::",
    "2001:0:7f00:1::", "2001:0:4136:e378:8000:63bf:f5ff:fffe", "2a00:1450::5efe:10.0.0.1", "2a00:1450::200:5efe:7f00:1",
]  # fmt: skip


@pytest.mark.parametrize("address", PRIVATE)
def test_an_address_is_private_when_what_it_carries_is(address):
    """IPv4 inside IPv6 in every usual form."""
    assert not remote._is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", ["93.184.216.34", "2a00:1450:4001:80b::200e", "::ffff:93.184.216.34",
                                     "64:ff9b::93.184.216.34", "2002:5db8:d822::1"])  # fmt: skip
def test_an_address_is_public_when_what_it_carries_is(address):
    """Nobody is locked out who comes by NAT64 or 6to4."""
    assert remote._is_public(ipaddress.ip_address(address))


@POSIX
def test_a_pipe_in_place_of_a_file_is_not_waited_for(tmp_path):
    """The voice is listed as damaged, and can be removed."""
    store = VoiceStore(tmp_path / "voices")
    folder = store.add("anna", noise()).folder
    (folder / "voice.json").unlink()
    os.mkfifo(folder / "voice.json")
    assert "damaged" in store.list()[0].fault
    assert store.names() == ()
    store.remove("anna")
    assert store.list() == []
