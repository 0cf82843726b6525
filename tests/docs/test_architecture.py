"""The map of the modules is complete."""

from pathlib import Path

import realtts

PAGE = Path(__file__).parents[2] / "docs/explanation/architecture.md"


def test_every_module_is_on_the_map():
    """Modules and packages of the core, each by its name."""
    page = PAGE.read_text(encoding="utf-8")
    found = {
        path.stem + ("/" if path.is_dir() else "")
        for path in Path(realtts.__file__).parent.iterdir()
        if not path.name.startswith("__") and (path.suffix == ".py" or (path / "__init__.py").is_file())
    }
    assert sorted(name for name in found if f"`{name}`" not in page) == []
