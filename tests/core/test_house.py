"""The wings of the core import in one direction; a type-only import counts, and so does one inside a function."""

import ast
import functools
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "core" / "src"

WINGS = (
    (
        "exception_text",
        "errors",
        "documents",
        "attempt",
        "arguments",
        "lazy",
        "folders",
        "settings",
        "settings_sources",
        "resample",
    ),
    ("contract",),
    ("kit",),
    ("text", "audio"),
    ("registry", "machine"),
    ("accel", "checkpoints", "voices"),
    ("listening",),
    ("ladder",),
    ("synthesis",),
    ("provider",),
    ("wire",),
    ("worker", "isolation", "serving"),
    ("bench", "testing", "bulk"),
    ("cli",),
    ("__main__",),
)
"""From the ground up. A wing imports from those in the rows before it, and from itself; of its own row
only what `BESIDE` allows."""

BESIDE = {
    ("testing", "bench"),
    ("errors", "attempt"),
    ("attempt", "exception_text"),
    ("folders", "errors"),
    ("settings", "errors"),
    ("settings", "arguments"),
    ("settings", "exception_text"),
    ("settings_sources", "documents"),
    ("settings_sources", "errors"),
    ("settings_sources", "folders"),
    ("settings_sources", "settings"),
}

OF_ACCEL = {
    "exception_text",
    "errors",
    "documents",
    "attempt",
    "lazy",
    "folders",
    "settings",
    "settings_sources",
    "resample",
    "contract",
    "kit",
    "machine",
    "accel",
}
"""What the toolkit stands on; the other wings of rows below it are not for it."""

FACE = "__init__"

MOST_FLOORS = 16
"""Rooms on the longest chain of imports: what is read, at most, to follow something to the ground."""


@functools.cache
def modules():
    """Every module of the core by its dotted name without ``realtts``, with its docstring and its imports.

    Whole trees would be two million objects, which every collection of the tests behind these would go through.
    """
    found = {}
    for path in sorted((SOURCE / "realtts").rglob("*.py")):
        parts = path.relative_to(SOURCE / "realtts").with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)
        files = [file for file in (path, path.with_suffix(".pyi")) if file.exists()]
        trees = [ast.parse(file.read_text(encoding="utf-8")) for file in files]
        nodes = [node for tree in trees for node in ast.walk(tree) if isinstance(node, (ast.Import, ast.ImportFrom))]
        found[name] = ast.Module([*trees[0].body[:1], *nodes], [])
    return found


def imported(tree, known):
    """The core's modules that a module imports, anywhere in it."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            # A star and a name of a package are imports of the package; a module of it is an import of the module.
            names |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
    ours = {name.removeprefix("realtts.") for name in names if name.startswith("realtts.")}
    exact = {name for name in ours if name in known}
    # The package of an imported module is no import of its own.
    return {name for name in exact if not any(other.startswith(f"{name}.") for other in exact)} | (
        {FACE} if "realtts" in names and not ours else set()
    )


@functools.cache
def graph():
    """Module -> the modules of the core that it imports."""
    return {name: imported(tree, set(modules())) - {name} for name, tree in modules().items()}


def graph_with(importer, lines):
    """The graph as it would be with these lines in a module as well."""
    return {**graph(), importer: graph()[importer] | imported(ast.parse(lines), set(modules()))}


def row(wing):
    """The row of a wing, from 0 at the ground."""
    return next(index for index, wings in enumerate(WINGS) if wing in wings)


def faults(edges):
    """Imports that run upward or to the side, as ``importer -> imported``."""
    wrong = []
    for name, targets in edges.items():
        wing = name.partition(".")[0]
        for target in targets:
            other = target.partition(".")[0]
            if wing in {other, FACE} or (wing, other) in BESIDE:
                continue
            allowed = other != FACE and row(other) < row(wing)
            if wing == "accel":
                allowed = allowed and other in OF_ACCEL
            if other == FACE:
                allowed = row(wing) >= row("bench")  # the tools are the core's own users
            if not allowed:
                wrong.append(f"{name} -> {target}")
    return sorted(wrong)


def floors(edges):
    """The length of the longest chain of imports; a circle raises."""
    heights, open_ = {}, []

    def height(name):
        if name in heights:
            return heights[name]
        assert name not in open_, f"a circle of imports: {' -> '.join([*open_[open_.index(name) :], name])}"
        open_.append(name)
        heights[name] = 1 + max((height(target) for target in edges[name]), default=0)
        open_.pop()
        return heights[name]

    return max(height(name) for name in edges)


def rooms(edges):
    """The same graph of rooms: every package is one, at any depth, and so is every module at the top."""
    packages = {name for name in edges if any(other.startswith(f"{name}.") for other in edges)}

    def room(name):
        return name if name in packages else name.rpartition(".")[0] or name

    joined = {room(name): set() for name in edges}
    for name, targets in edges.items():
        # What a package's own `__init__` takes from packages inside of it is its face, as the core's is.
        inner = f"{name}." if name in packages else "."
        joined[room(name)] |= {room(target) for target in targets if not target.startswith(inner)} - {room(name)}
    return joined


def test_every_module_stands_in_a_wing():
    """A new module or package at the top needs a place in the order."""
    wings = {name.partition(".")[0] for name in modules()} - {FACE}
    assert wings == {wing for row_ in WINGS for wing in row_}


def test_no_import_runs_upward():
    """What stands below knows nothing of what stands above."""
    assert faults(graph()) == []


def test_no_circle_among_modules():
    """No module needs itself to be understood, not even for its types."""
    assert floors(graph()) > 1


def test_rooms_stand_on_few_floors():
    """Packages import each other in one direction, inside of a wing as well, and the house is not too high."""
    height = floors(rooms(graph()))
    assert height <= MOST_FLOORS, f"the longest chain of imports passes {height} rooms, at most {MOST_FLOORS} may be"


@pytest.mark.parametrize(
    ("importer", "line"),
    [
        ("accel.attention", "from realtts.accel.decoder import Decoder"),
        ("accel.weights.tensorfile", "def f():\n    from realtts.accel.upstream.networks import fill"),
        ("accel.sampling.noise", "if TYPE_CHECKING:\n    from realtts.accel.decoder.row_loop import RowLoop"),
    ],
)
def test_a_circle_of_rooms_is_seen(importer, line):
    """The test fails when a package imports one that stands on it, even where no module needs itself."""
    with pytest.raises(AssertionError, match="circle"):
        floors(rooms(graph_with(importer, line)))


def test_nothing_imports_the_optimizer():
    """The toolkit's generic optimizer stands on the rest of the toolkit, and nothing on it."""
    users = {name for name, targets in graph().items() for target in targets if target.startswith("accel.optimizer")}
    assert all(name.startswith("accel.optimizer") for name in users)


@pytest.mark.parametrize(
    ("importer", "line"),
    [
        ("kit.seeds", "from realtts.synthesis.plan import make_plan"),
        ("contract.types", "import realtts.audio.join"),
        ("accel.decoder.rungs", "from realtts.checkpoints import fetch"),
        ("worker.main", "from realtts.isolation import install"),
        ("provider.facade", "def f():\n    from realtts.isolation.environments import find"),
    ],
)
def test_an_import_upward_is_seen(importer, line):
    """The test fails when somebody adds one, in a function as well."""
    assert faults(graph_with(importer, line))


def test_a_circle_is_seen():
    """The test fails when somebody adds one, inside of a wing as well."""
    lines = "if TYPE_CHECKING:\n    from realtts.contract.types import Chunk"
    with pytest.raises(AssertionError, match="circle"):
        floors(graph_with("contract.stages", lines))


def test_wings_say_what_they_own():
    """The docstring of a wing's package names what it owns and whom it may import."""
    packages = {wing for wings in WINGS[1:-1] for wing in wings}
    for wing in sorted(packages):
        text = ast.get_docstring(modules()[wing])
        assert text, wing
        assert "import" in text, wing
