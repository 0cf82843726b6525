"""The models of the server, as OpenAI's clients and Open WebUI list them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import APIRouter

from realtts_http.model_options import options_schema
from realtts_http.server_state import Server

if TYPE_CHECKING:
    from realtts_http.served import Served

__all__ = ["router"]

router = APIRouter(tags=["models"])


@router.get("/v1/models", summary="List the models")
async def list_models(server: Server) -> dict[str, Any]:
    """Return the served models and the aliases that the configuration names."""
    data = [_described(model) for model in server.models.all]
    aliases = server.config.aliases.items()
    data += [{**_described(server.models.find(alias)), "id": alias, "alias_of": name} for alias, name in aliases]
    return {"object": "list", "data": data}


@router.get("/v1/models/{model:path}", summary="Describe a model")
async def describe_model(model: str, server: Server) -> dict[str, Any]:
    """Return a model with its languages, what it can do, and the JSON Schema of its own options."""
    served = server.models.find(model)
    spec = served.provider.spec
    return {
        **_described(served),
        "id": model.strip() or served.name,
        "capabilities": sorted(spec.capabilities),
        "languages": list(spec.languages),
        "reference_text": spec.reference_text,
        "reference_seconds": list(spec.reference_seconds),
        "options": options_schema(spec),
    }


@router.get("/v1/audio/models", summary="List the models (as Open WebUI asks)")
async def list_audio_models(server: Server) -> dict[str, Any]:
    """Return the names of the models alone."""
    names = [model.name for model in server.models.all] + list(server.config.aliases)
    return {"models": [{"id": name, "name": name} for name in names]}


def _described(model: Served) -> dict[str, Any]:
    return {"id": model.name, "object": "model", "created": model.created, "owned_by": "realtts"}
