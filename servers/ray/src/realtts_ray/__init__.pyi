from realtts_ray.config import ClusterConfig as ClusterConfig, ReplicaConfig as ReplicaConfig
from realtts_ray.mapper import SpeechMapper as SpeechMapper, speak_dataset as speak_dataset
from realtts_ray.serving import app as app, build as build

__version__: str
