"""Clients that go away while something is done for them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

from realtts_http.problems import ProblemError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.types import Receive

__all__ = ["ClientLeftError", "unless_left"]

ResultT = TypeVar("ResultT")


class ClientLeftError(ProblemError):
    """The client went away; nobody reads this answer."""

    def __init__(self) -> None:
        super().__init__(400, "disconnected", "The client left before its answer was complete.")


async def unless_left(
    receive: Receive, work: Awaitable[ResultT], *, is_complete: Callable[[], bool] = lambda: False
) -> ResultT:
    """Return what some work returns; it is cancelled when the client goes away.

    Args:
        receive: Of the request, whose body was read.
        work: What is done for the client, in this task.
        is_complete: Tells whether the client has got all of its answer, and may go.

    Raises:
        ClientLeftError: The client went away.
    """
    task = asyncio.current_task()
    assert task is not None
    left = False

    async def watch() -> None:
        nonlocal left
        while (await receive())["type"] != "http.disconnect":
            pass
        if not is_complete():
            left = True
            task.cancel()

    watching = asyncio.create_task(watch())
    try:
        return await work
    except asyncio.CancelledError:
        if not left:
            raise
        getattr(task, "uncancel", int)()
        raise ClientLeftError from None
    finally:
        watching.cancel()
