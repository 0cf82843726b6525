"""The studio: a page that speaks with this server."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi.responses import FileResponse
from starlette.staticfiles import StaticFiles

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.responses import Response

__all__ = ["mount"]

_FOLDER = Path(__file__).parent / "studio_page"
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; "
    "connect-src 'self'; worker-src 'self' blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-cache",
}


class _Files(StaticFiles):
    """Static files with the page's headers."""

    def file_response(self, *arguments: Any, **named: Any) -> Response:
        """Return a file with the headers."""
        response = super().file_response(*arguments, **named)
        response.headers.update(_HEADERS)
        return response


def mount(app: FastAPI) -> None:
    """Add the page at ``/`` and its files at ``/studio``."""

    @app.get("/", include_in_schema=False)
    async def page() -> FileResponse:
        return FileResponse(_FOLDER / "index.html", headers=_HEADERS)

    app.mount("/studio", _Files(directory=_FOLDER), name="studio")
