"""Endpoints for those who run the server: health, readiness, metrics, status."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST

from realtts_http.server_state import Server

__all__ = ["router"]

router = APIRouter(tags=["operation"])

_PRIVATE = ("path", "traceback", "origin")


@router.get("/health", summary="Whether the process answers")
async def health() -> dict[str, str]:
    """Answer while the process lives."""
    return {"status": "ok"}


@router.get("/ready", summary="Whether requests are taken", responses={503: {"description": "Not yet, or no more."}})
async def ready(server: Server) -> JSONResponse:
    """Answer 200 when requests are taken and the models that are to be loaded before are there, else 503."""
    if server.is_ready:
        return JSONResponse({"status": "ready"})
    reason = "draining" if server.gate.draining else server.fault or "loading"
    return JSONResponse({"status": reason}, 503, {"retry-after": "1"})


@router.get("/metrics", summary="Counters for Prometheus", response_class=Response)
async def metrics(server: Server) -> Response:
    """Return the counters as text."""
    return Response(await asyncio.to_thread(server.metrics.render), media_type=CONTENT_TYPE_LATEST)


@router.get("/v1/status", summary="What runs, how, and why not faster (realtts)")
async def status(server: Server) -> dict[str, Any]:
    """Return every model's `get_provider_status()`, without paths and tracebacks."""
    entries = {}
    for model in server.models.all:
        entries[model.name] = _public(model.provider.get_provider_status())
    return {"default": server.models.default, "models": entries}


def _public(value: Any) -> Any:
    """Leave out what names folders of this machine."""
    if isinstance(value, dict):
        return {name: _public(each) for name, each in value.items() if name not in {*_PRIVATE, "settings"}}
    if isinstance(value, list):
        return [_public(each) for each in value]
    return value
