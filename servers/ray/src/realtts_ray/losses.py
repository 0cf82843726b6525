"""What a client is told when the cluster, not the model, fails its request."""

from __future__ import annotations

import math

from ray.exceptions import RayActorError, RayError, RayTaskError
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError, ReplicaUnavailableError

from realtts.wire.answers import answer_to
from realtts_http.problems import ProblemError

__all__ = ["problem_of"]


def problem_of(error: BaseException) -> ProblemError:
    """Return the answer to an error that a request ended with."""
    if isinstance(error, ProblemError):
        return error
    if isinstance(error, BackPressureError):
        message = "As many requests wait as may wait. Fix: try again later."
        return ProblemError(429, "too_many_requests", message, retry_after_s=math.ceil(error.retry_after_s or 1))
    if isinstance(error, (RayActorError, ReplicaUnavailableError)):
        message = "The replica that had this request was lost. Fix: send the request again."
        return ProblemError(503, "replica_lost", message, retry_after_s=1)
    if isinstance(error, DeploymentUnavailableError):
        message = "No replica of the model could be started; Serve's log says why."
        return ProblemError(503, "model_unavailable", message, retry_after_s=30)
    if isinstance(error, RayTaskError):  # the replica's own
        error = error.cause
    elif isinstance(error, RayError):
        message = "The cluster could not answer this request. Fix: send the request again."
        return ProblemError(503, "cluster_failed", message, retry_after_s=1)
    answer = answer_to(error)
    return ProblemError(
        answer.status, answer.code, answer.message, field=answer.field, retry_after_s=answer.retry_after_s
    )
