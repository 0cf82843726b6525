"""The ASGI application: endpoints, errors and layers put together."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import Match

from realtts.errors import RealTTSError
from realtts.serving.gate import Gate
from realtts_http import live_api, models_api, operation_api, speech_api, studio, tts_api, voices_api
from realtts_http.access import read_keys
from realtts_http.config import ServeConfig
from realtts_http.guard import Guard
from realtts_http.metrics import ServerMetrics
from realtts_http.problems import ERRORS, ProblemError, invalid_body, problem_response
from realtts_http.served import ServedModels
from realtts_http.server_state import ServerState

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from starlette.responses import Response

    from realtts import ProviderSpec

__all__ = ["create_app"]

_DESCRIPTION = """Text to speech with open models, as OpenAI's clients know it.

Fields that begin their description with *realtts* are ours. Errors are `{"error": {message, type, param, code}}`.
"""
_ROUTERS = tuple(part.router for part in (speech_api, live_api, models_api, voices_api, tts_api, operation_api))
_READABLE = (
    *("x-request-id", "x-realtts-model", "x-realtts-seed", "x-realtts-rung", "x-realtts-ignored"),
    *("x-should-retry", "retry-after"),
)
"""Headers of answers that pages of other origins may read."""

_CODES = {404: "not_found", 405: "method_not_allowed"}


def create_app(config: ServeConfig | None = None, specs: Sequence[ProviderSpec] = (), **settings: Any) -> FastAPI:
    """Make the application.

    Args:
        config: How it runs; None: the defaults, which serve an embedded voice.
        specs: Providers of the application's own, beside those that are installed.
        **settings: Settings of every provider, as for `realtts.RealProvider`.

    Returns:
        The application; its ``state.server`` holds the models and the gate. Models are freed when its lifespan ends.

    Raises:
        RealTTSError: A provider is not installed, a setting is wrong, the keys cannot be read.
    """
    config = config or ServeConfig()
    keys = read_keys(config.api_key_file)
    models = ServedModels(config, specs, **settings)
    state = ServerState(config, models, ServerMetrics(models), Gate())

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        state.begin()
        try:
            yield
        finally:
            await state.end()

    app = FastAPI(title="realtts", version="0.1.0", description=_DESCRIPTION, lifespan=lifespan, responses=ERRORS)
    app.state.server = state
    for router in _ROUTERS:
        app.include_router(router)
    if config.studio:
        studio.mount(app)
    _answer_errors(app)
    app.add_middleware(Guard, config=config, keys=keys, gate=state.gate, metrics=state.metrics)
    if config.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=[origin.rstrip("/") for origin in config.cors_origins],
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=["*"],  # OpenAI's client sends a dozen of its own
            expose_headers=list(_READABLE),
        )
    return app


def _answer_errors(app: FastAPI) -> None:
    """Give every error the form that OpenAI's clients read."""

    async def answer(_: Request, error: Exception) -> Response:
        return problem_response(error)

    async def answer_invalid(_: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return problem_response(invalid_body(error.errors(), error.body))

    async def answer_http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        if isinstance(error.__cause__, ProblemError):  # of a layer, while the body was read
            return problem_response(error.__cause__)
        code = _CODES.get(error.status_code, "invalid_request")
        message = f"{request.method} {request.url.path}: {error.detail}. Fix: see /docs for what there is."
        response = problem_response(ProblemError(error.status_code, code, message))
        if error.status_code == 405:
            response.headers["allow"] = ", ".join(sorted(_methods(request)))
        return response

    app.add_exception_handler(ProblemError, answer)
    app.add_exception_handler(RealTTSError, answer)
    app.add_exception_handler(RequestValidationError, answer_invalid)
    app.add_exception_handler(HTTPException, answer_http)
    app.add_exception_handler(Exception, answer)


def _methods(request: Request) -> set[str]:
    """Return the methods of all endpoints at the path of a request."""
    routes = (route for router in _ROUTERS for route in router.routes)
    matching = (route for route in routes if route.matches(request.scope)[0] != Match.NONE)
    return {method for route in matching for method in getattr(route, "methods", None) or ()}
