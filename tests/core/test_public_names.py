"""Public names are pinned: adding or losing one is a decision, not an accident."""

import ast
from pathlib import Path

import pytest

import realtts
import realtts.testing

SOURCES = Path(realtts.__file__).parent

NAMES = [
    "AccelError",
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
        "FakeHub", "FakeOptions", "FakeProvider", "FastFakeProvider", "InjectedFault", "OptimizedConformance",
        "ProviderConformance", "fake_spec", "faulty", "voice_like",
    ]  # fmt: skip
    for name in realtts.testing.__all__:
        assert getattr(realtts.testing, name) is not None
    with pytest.raises(AttributeError, match="no_such_name"):
        realtts.testing.no_such_name  # noqa: B018 - the access is the test


def test_types_and_values_come_from_the_same_modules():
    """What type checkers read and what is imported at run time are one list."""
    tree = ast.parse((SOURCES / "__init__.py").read_text(encoding="utf-8"))
    typed = {
        (node.module.removeprefix("realtts."), alias.name)
        for branch in tree.body
        if isinstance(branch, ast.If)
        for node in branch.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    imported = {(module, name) for module, names in realtts._HOMES.items() for name in names}
    assert typed == imported


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
