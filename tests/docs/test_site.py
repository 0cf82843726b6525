"""The site that mkdocs.yml describes: every page in the navigation, built without a warning, complete by itself."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = {page.relative_to(DOCS).as_posix(): page for page in DOCS.rglob("*.md")}
MAP = re.findall(r"^ +- (?:[^#\n]*: )?(\S+\.md)$", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"), re.MULTILINE)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site, built strictly: a broken link, anchor or entry of the navigation ends the build."""
    pytest.importorskip("material", reason="mkdocs-material is not installed")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    built = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    return folder


def html(site, name):
    """A page as it was built."""
    path = PAGES[name].with_name("index.md" if PAGES[name].name == "README.md" else PAGES[name].name)
    return (site / path.relative_to(DOCS).with_suffix(".html")).read_text(encoding="utf-8")


def test_navigation_has_every_page_once():
    """The navigation names each page of docs/ exactly once, and no other."""
    assert sorted(MAP) == sorted(PAGES)


def test_index_leads_to_every_page():
    """Every page is linked from the index, the toolkit's from the index of the toolkit."""
    for folder in ("", "reference/accel/"):
        text = PAGES[f"{folder}index.md"].read_text(encoding="utf-8")
        linked = {folder + target for target in re.findall(r"\]\(([^)#\s]+)\)", text)} | {f"{folder}index.md"}
        inside = {name for name in PAGES if name.startswith("reference/accel/") == bool(folder)}
        assert sorted(inside - linked) == []


def test_site_has_every_page(site):
    """Each page is built, with the heading that it begins with."""
    for name, page in PAGES.items():
        heading = page.read_text(encoding="utf-8").splitlines()[0].removeprefix("# ")
        assert re.search(r"<h1 id=[^>]*>([^<]*)", html(site, name)).group(1) == heading, name


def test_diagrams_come_with_what_draws_them(site):
    """A page with diagrams hands all of them to the site's own copy of mermaid; others do not load it."""
    drawn = set()
    for name, page in PAGES.items():
        diagrams = page.read_text(encoding="utf-8").count("```mermaid\n")
        text = html(site, name)
        assert text.count('<pre class="mermaid">') == diagrams, name
        assert ("assets/mermaid.tiny.js" in text) == bool(diagrams), name
        drawn |= {name} if diagrams else set()
    assert drawn
    assert (site / "assets/mermaid.tiny.js").is_file()


def test_nothing_is_fetched_from_the_web(site):
    """Scripts, styles, fonts and pictures of every page lie in the site."""
    for name in PAGES:
        tags = re.findall(r"<(?:script|link|img)\b[^>]*>", html(site, name))
        assert not [tag for tag in tags if re.search(r'(?:src|href)="(?:https?:)?//', tag)], name
