"""The program uv: where it is, what it is told, and what its failures mean."""

from __future__ import annotations

import contextlib
import importlib
import os
import shutil
import subprocess
import tempfile
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from realtts.errors import InstallFailed, MissingExtra
from realtts.isolation.install.failures import UNREACHABLE, failure
from realtts.isolation.install.variables import find_links, variables

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    Tell = Callable[[str, str], None]

__all__ = ["Uv", "find_uv"]

LINES_KEPT = 30


def find_uv() -> str:
    """Find the uv of the extra ``realtts[isolation]``, else one on PATH.

    Raises:
        MissingExtra: There is neither.
    """
    with contextlib.suppress(ImportError, AttributeError, FileNotFoundError):
        return str(importlib.import_module("uv").find_uv_bin())
    path = shutil.which("uv")
    if path is None:
        raise MissingExtra(
            "uv is missing, which makes the environments", who="isolation", fix="pip install 'realtts[isolation]'"
        )
    return path


@dataclass(frozen=True)
class Uv:
    """How uv is run for one install.

    Attributes:
        name: The provider, for messages.
        folder: Where it runs, away from the projects whose settings it would read.
        tell: Told what uv says.
        links: Folders and pages with wheels, beside those that the variables name.
        lock: Descriptor of the lock that it holds with this process.
        program: The uv to run.
        unreachable: Phases in which no index answered and the folders were enough; later ones ask none.
    """

    name: str
    folder: Path
    tell: Tell
    links: tuple[str, ...] = ()
    lock: int | None = None
    program: str = ""
    unreachable: set[str] = field(default_factory=set)

    def all_links(self) -> tuple[str, ...]:
        """Return every folder and page with wheels, in order, once."""
        return tuple(dict.fromkeys((*self.links, *find_links(os.environ))))

    def run(self, phase: str, *arguments: str | Path, stdin: str = "", links: bool = True, index: bool = True) -> str:
        """Run it to its end.

        Args:
            phase: What it is done for.
            arguments: Its arguments.
            stdin: What it reads.
            links: It looks for packages: in the folders with wheels, and in the index unless that is switched off or
                does not answer.
            index: Also in the index.

        Returns:
            Its standard output.

        Raises:
            InstallFailed: It failed.
        """
        if not links:
            return self._run(phase, arguments, stdin)
        alone = (*arguments, *(f"--find-links={link}" for link in self.all_links()))
        offline = (*alone, "--no-index")
        if not index or self.unreachable or variables(os.environ).get("UV_NO_INDEX"):
            return self._run(phase, offline, stdin)
        try:
            return self._run(phase, alone, stdin)
        except InstallFailed as error:
            if not self.all_links() or not error.what.startswith(UNREACHABLE):
                raise
            self.tell(phase, "the package index cannot be reached; looking into the folders with wheels alone")
            try:
                answer = self._run(phase, offline, stdin)
            except InstallFailed:
                raise error from None
            self.unreachable.add(phase)
            return answer

    def _run(self, phase: str, arguments: Iterable[str | Path], stdin: str) -> str:
        command = [self.program or find_uv(), *map(str, arguments)]
        last_lines: deque[str] = deque(maxlen=LINES_KEPT)
        inherited = () if self.lock is None or os.name == "nt" else (self.lock,)
        # Files for its input and its answer: three pipes would need three threads.
        with tempfile.TemporaryFile() as stdin_file, tempfile.TemporaryFile() as answer:
            stdin_file.write(stdin.encode())
            stdin_file.seek(0)
            process = subprocess.Popen(  # noqa: S603 - uv, with arguments of our own
                command, cwd=self.folder, env=variables(os.environ), pass_fds=inherited,
                stdin=stdin_file, stdout=answer, stderr=subprocess.PIPE, encoding="utf-8", errors="replace",
            )  # fmt: skip
            try:
                self._listen(process, phase, last_lines)
                code = process.wait()
            except BaseException:
                process.kill()
                process.wait()
                raise
            if code != 0:
                raise failure(self.name, phase, code, tuple(last_lines))
            answer.seek(0)
            return answer.read().decode(errors="replace")

    def _listen(self, process: subprocess.Popen[str], phase: str, last_lines: deque[str]) -> None:
        """Pass on what it says, to its last word."""
        assert process.stderr is not None
        with process.stderr:
            for line in map(str.rstrip, process.stderr):
                if line:
                    last_lines.append(line)
                    self.tell(phase, line.strip())
