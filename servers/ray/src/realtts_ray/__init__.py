"""realtts on a Ray cluster: the speech server on Ray Serve, datasets on Ray Data, jobs of ``realtts batch --ray``.

    serve run realtts_ray:app provider=espeak max_replicas=4

`build` makes the same Serve application from Python, and `SpeechMapper` speaks the rows of a Ray dataset. Stands on
`realtts.RealProvider`, `realtts.bulk` and the endpoints of realtts-http.
"""

from realtts_ray.config import ClusterConfig, ReplicaConfig
from realtts_ray.mapper import SpeechMapper, speak_dataset
from realtts_ray.serving import app, build

__version__ = "0.1.0"
__all__ = ["ClusterConfig", "ReplicaConfig", "SpeechMapper", "__version__", "app", "build", "speak_dataset"]
