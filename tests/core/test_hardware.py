"""What the machine offers, and the device and dtype that follow from it; CUDA through a fake torch."""

import types

import pytest

from realtts import SettingsError
from realtts.machine import hardware, memory
from realtts.testing import fake_spec

SPEC = fake_spec(devices=("cuda", "mps", "cpu"), torch=True)


@pytest.fixture
def torch(monkeypatch):
    """Puts a torch with these devices in place of the real one."""

    def torch(capabilities=(), *, mps=False):
        freed = []
        fake = types.SimpleNamespace(
            cuda=types.SimpleNamespace(
                is_available=lambda: bool(capabilities),
                device_count=lambda: len(capabilities),
                get_device_capability=lambda index: capabilities[index],
                is_initialized=lambda: bool(capabilities),
                empty_cache=lambda: freed.append(True),
                memory_allocated=lambda device: 7,
                memory_reserved=lambda device: 9,
            ),
            backends=types.SimpleNamespace(mps=types.SimpleNamespace(is_available=lambda: mps)),
            freed=freed,
        )
        monkeypatch.setitem(__import__("sys").modules, "torch", fake)
        return fake

    return torch


def test_auto_takes_the_best_device_there_is(torch):
    """In the spec's order; the CPU is always there."""
    torch(((9, 0),))
    assert hardware.resolve_device("auto", SPEC) == "cuda:0"
    torch(mps=True)
    assert hardware.resolve_device("auto", SPEC) == "mps"
    torch()
    assert hardware.resolve_device("auto", SPEC) == "cpu"
    assert hardware.resolve_device("auto", fake_spec()) == "cpu"


def test_named_devices(torch):
    """The bare name means the first one, cuda:1 means cuda:1."""
    torch(((9, 0), (8, 0)))
    assert hardware.resolve_device("cuda", SPEC) == "cuda:0"
    assert hardware.resolve_device("cuda:1", SPEC) == "cuda:1"
    with pytest.raises(SettingsError, match="cuda:2"):
        hardware.resolve_device("cuda:2", SPEC)
    with pytest.raises(SettingsError, match="mps"):
        hardware.resolve_device("mps", SPEC)
    assert hardware.resolve_device("cpu", SPEC) == "cpu"


def test_without_torch_there_is_no_device_but_the_cpu(monkeypatch):
    """And no crash."""
    monkeypatch.setitem(__import__("sys").modules, "torch", None)
    assert hardware.cuda_capability() is None
    assert hardware.resolve_device("auto", SPEC) == "cpu"
    with pytest.raises(SettingsError, match="no such device"):
        hardware.resolve_device("cuda", SPEC)


@pytest.mark.parametrize(
    ("capability", "expected"),
    [((12, 0), "bfloat16"), ((8, 0), "bfloat16"), ((7, 5), "float16"), ((6, 0), "float16"), ((5, 2), "float32")],
    ids=str,
)
def test_dtype_follows_the_compute_capability(torch, capability, expected):
    """bf16 at 8.0 and up, fp16 at 6.0 and up, fp32 else."""
    torch((capability,))
    assert hardware.resolve_dtype("auto", "cuda:0") == expected
    assert hardware.resolve_dtype("float32", "cuda:0") == "float32"


@pytest.mark.parametrize(
    ("features", "expected"),
    [({"avx2"}, "float32"), ({"avx2", "avx512_bf16"}, "bfloat16"), ({"amx_bf16"}, "bfloat16"), ({"bf16"}, "bfloat16")],
    ids=["none", "avx512", "amx", "arm"],
)
def test_dtype_on_the_cpu_follows_its_instructions(monkeypatch, features, expected):
    """bf16 only where it is native."""
    monkeypatch.setattr(hardware, "cpu_features", lambda: frozenset(features))
    assert hardware.resolve_dtype("auto", "cpu") == expected
    assert hardware.resolve_dtype("auto", "mps") == "float16"


def test_facts_of_this_machine():
    """Plausible, whatever it is."""
    assert hardware.physical_cores() >= 1
    assert isinstance(hardware.cpu_features(), frozenset)
    assert hardware.cpu_name()


def test_machine_that_does_not_say(monkeypatch):
    """No /proc: no features, and a name from the platform module."""

    def missing(*_, **__):
        raise FileNotFoundError

    monkeypatch.setattr(hardware.Path, "read_text", missing)
    hardware.cpu_features.cache_clear()
    try:
        assert hardware.cpu_features() == frozenset()
        assert isinstance(hardware.cpu_name(), str)
    finally:
        hardware.cpu_features.cache_clear()


def test_device_memory_is_given_back_and_reported(torch):
    """Through torch, when it is in use."""
    fake = torch(((9, 0),))
    memory.release()
    assert fake.freed == [True]
    report = memory.memory_report("cuda:0")
    assert (report["device_allocated"], report["device_reserved"]) == (7, 9)
    assert report["rss"] > 0
    assert "device_allocated" not in memory.memory_report("cpu")


@pytest.mark.parametrize(
    ("variables", "count"),
    [
        ({"OMP_NUM_THREADS": "7"}, 7),
        ({"MKL_NUM_THREADS": "3"}, 3),
        ({"OMP_NUM_THREADS": "5,2", "MKL_NUM_THREADS": "3"}, 5),
        ({"OMP_NUM_THREADS": " 6 "}, 6),
        ({"OMP_NUM_THREADS": "many", "MKL_NUM_THREADS": "2"}, 2),
        ({"OMP_NUM_THREADS": "0"}, None),
        ({"OMP_NUM_THREADS": "99999999"}, None),
        ({"OMP_NUM_THREADS": ""}, None),
        ({}, None),
    ],
)
def test_threads_follow_the_variables_of_the_libraries(monkeypatch, variables, count):
    """They stand for the physical cores under ``auto``; a number of the setting wins; nonsense is not obeyed."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert hardware.thread_count("auto") == (count or hardware.physical_cores())
    assert hardware.thread_count(4) == 4
