"""Public names are pinned: adding or losing one is a decision, not an accident."""

import ast
import importlib
from pathlib import Path

import pytest

import realtts
import realtts.testing

SOURCES = Path(realtts.__file__).parent

NAMES = [
    "AccelError",
    "Arrival",
    "Arrivals",
    "Attempt",
    "AttentionUnavailable",
    "BlankText",
    "BrokenProvider",
    "BufferMisuse",
    "Busy",
    "CaptureFailed",
    "Checkpoint",
    "CheckpointCorrupt",
    "CheckpointError",
    "CheckpointForbidden",
    "CheckpointMismatch",
    "CheckpointMissing",
    "Chunk",
    "ChunkStream",
    "CompileFailed",
    "Context",
    "DecoderError",
    "DownloadFailed",
    "DuplicateProvider",
    "Environment",
    "Event",
    "ExtensionError",
    "InputError",
    "Installed",
    "InvalidChunk",
    "InvalidMarkup",
    "InvalidOption",
    "InvalidPlugin",
    "InvalidText",
    "InstallFailed",
    "IsolationError",
    "LadderExhausted",
    "Mark",
    "Metrics",
    "MissingExtra",
    "NoProvider",
    "NotEnoughDisk",
    "NotFinite",
    "OffloadError",
    "OptionError",
    "Options",
    "OutputError",
    "PluginError",
    "ProviderClosed",
    "ProviderSpec",
    "QuantizationUnavailable",
    "RealProvider",
    "RealTTSError",
    "Request",
    "RowEnd",
    "RowFailed",
    "Rung",
    "Settings",
    "SettingsError",
    "Speech",
    "StageFailed",
    "StreamStalled",
    "TextError",
    "TextTooLong",
    "UnknownCheckpoint",
    "UnknownLanguage",
    "UnknownOption",
    "UnknownProvider",
    "Unread",
    "UnspeakableText",
    "Voice",
    "VoiceError",
    "VoiceInfo",
    "VoiceNotFound",
    "VoiceUnreadable",
    "VoiceUnsuitable",
    "VoiceUnsupported",
    "WorkerDied",
    "WouldDeadlock",
    "__version__",
    "hookimpl",
    "installed",
]


def test_names_of_the_package():
    """All of them can be had, and no others are promised."""
    assert sorted(realtts.__all__) == sorted(NAMES)
    assert dir(realtts) == sorted(NAMES)
    for name in NAMES:
        assert getattr(realtts, name) is not None
    with pytest.raises(AttributeError, match="no_such_name"):
        realtts.no_such_name  # noqa: B018 - the access is the test


def test_names_for_plugin_authors():
    """The testing package."""
    assert sorted(realtts.testing.__all__) == [
        "ContinuousConformance", "ContinuousFakeProvider", "FakeHub", "FakeOptions", "FakeProvider", "FastFakeProvider",
        "InjectedFault", "LoadReport", "OptimizedConformance", "ProviderConformance", "fake_spec", "faulty",
        "make_arrivals", "make_context", "make_request", "mixed_load", "voice_like",
    ]  # fmt: skip
    for name in realtts.testing.__all__:
        assert getattr(realtts.testing, name) is not None
    with pytest.raises(AttributeError, match="no_such_name"):
        realtts.testing.no_such_name  # noqa: B018 - the access is the test


@pytest.mark.parametrize(
    "package", ["realtts", "realtts.bench", "realtts.checkpoints", "realtts.testing", "realtts.voices"]
)
def test_types_and_values_come_from_the_same_modules(package):
    """Every name of a package's stub is there at run time, defined by the module that the stub names."""
    module = importlib.import_module(package)
    stub = ast.parse(Path(module.__file__).with_suffix(".pyi").read_text(encoding="utf-8"))
    typed = {
        (node.module, alias.name) for node in stub.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    assert {name for _, name in typed} == set(module.__all__) - {"__version__"}
    for home, name in typed:
        assert getattr(module, name) is getattr(importlib.import_module(home), name)


@pytest.mark.parametrize("path", sorted(SOURCES.rglob("*.py")), ids=lambda path: str(path.relative_to(SOURCES)))
def test_every_module_says_what_it_offers(path):
    """A docstring, and names in __all__ that exist."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert ast.get_docstring(tree)
    declared = [
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__"
    ]
    for name in declared[0] if declared else ():
        assert any(name in ast.unparse(node) for node in tree.body if not isinstance(node, ast.Expr))
