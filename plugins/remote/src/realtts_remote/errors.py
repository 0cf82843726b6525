"""Errors of servers, beside those that every provider may raise.

`ServerError` is a failure of the rung, so that the setting ``fallback`` lets another provider speak; a later request
may fare better. `ServerRefused` is a `SettingsError`, which nothing but a change of the settings can mend.
"""

from __future__ import annotations

from realtts.errors import RealTTSError, SettingsError

__all__ = ["BrokenSpeech", "ServerBusy", "ServerError", "ServerFailed", "ServerRefused", "ServerUnreachable"]


class ServerError(RealTTSError):
    """The server did not speak; a later request may fare better.

    Attributes:
        status: HTTP status of its answer; 0: there was none.
        again: Whether the same request may be sent once more, if nobody has heard any of it.
        retry_after_s: Seconds that the server wants to be left alone; None: it does not say.
    """

    def __init__(
        self,
        what: str,
        *,
        who: str,
        fix: str,
        status: int = 0,
        again: bool = False,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(what, who=who, fix=fix)
        self.status, self.again, self.retry_after_s = status, again, retry_after_s


class ServerUnreachable(ServerError):
    """There is no connection, no trusted certificate, or no answer in time."""


class ServerBusy(ServerError):
    """The server has no room for the request now."""


class ServerFailed(ServerError):
    """The server failed, or ended the connection half-way."""


class BrokenSpeech(ServerError):
    """What the server sent is no speech: another format, a page, or audio that is cut."""


class ServerRefused(SettingsError):
    """The key, the address or the server do not fit; no other rung can mend that."""
