"""realtts on a Ray cluster: the speech server on Ray Serve, datasets on Ray Data, jobs of ``realtts batch --ray``.

    serve run realtts_ray:app provider=espeak max_replicas=4

`build` makes the same Serve application from Python, and `SpeechMapper` speaks the rows of a Ray dataset. Stands on
`realtts.RealProvider`, `realtts.bulk` and the endpoints of realtts-http.
"""

from realtts.lazy import public_names

__version__ = "0.1.0"
# On demand: a job's workers need neither Serve nor Arrow.
__getattr__, __dir__, __all__ = public_names(__name__, "__version__")
