"""What an application is made of is checked before anything starts."""

from __future__ import annotations

import pytest
from ray.serve._private.api import call_user_app_builder_with_args_if_necessary

from realtts.errors import SettingsError
from realtts_ray import ClusterConfig, ReplicaConfig, app
from realtts_ray.config import read_config


@pytest.mark.parametrize(("own", "seconds"), [({}, 300.0), ({"drain_s": "20"}, 20.0), ({"drain_s": 0}, 0.0)])
def test_a_replica_that_is_stopped_speaks_to_its_end(own, seconds):
    """Serve would kill it after 20 s, in the middle of a long text."""
    application = call_user_app_builder_with_args_if_necessary(app, {"provider": "espeak", **own})
    (replicas,) = application._bound_deployment.init_args[0].values()
    assert replicas._bound_deployment._deployment_config.graceful_shutdown_timeout_s == seconds


def test_one_provider_from_the_command_line():
    """Every value is a text there, and settings of the provider have a name of their own."""
    config = read_config(
        {"provider": "qwen3", "model": "0.6b-base", "num_gpus": "0.5", "max_replicas": "8", "settings.device": "cuda"}
    )
    own = config.providers["qwen3"]
    assert (own.model, own.num_gpus, own.min_replicas, own.max_replicas) == ("0.6b-base", 0.5, 1, 8)
    assert own.settings == {"device": "cuda"}
    assert config.default == "qwen3"


def test_several_providers_from_yaml():
    """Each with its own resources and environment; the first is the default one."""
    config = read_config(
        {
            "providers": {"espeak": {}, "qwen3": {"num_gpus": 1, "runtime_env": {"pip": ["realtts-qwen3"]}}},
            "aliases": {"fast": "espeak"},
            "http": {"max_input_chars": 500},
            "routers": 2,
        }
    )
    assert list(config.providers) == ["espeak", "qwen3"]
    assert config.providers["espeak"] == ReplicaConfig()
    assert (config.default, config.routers) == ("espeak", 2)
    assert ClusterConfig(**config.model_dump(mode="json")) == config


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({}, "provider"),
        ({"provider": ""}, "provider"),
        ({"provider": "espeak", "max_replicsa": 2}, "max_replicas"),
        ({"provider": "espeak", "max_replicas": 0}, "max_replicas"),
        ({"provider": "espeak", "max_replicas": "many"}, "max_replicas"),
        ({"provider": "espeak", "min_replicas": 3, "max_replicas": 2}, "min_replicas is 3"),
        ({"provider": "espeak", "num_gpus": -1}, "num_gpus"),
        ({"provider": "espeak", "num_gpus": float("nan")}, "num_gpus"),
        ({"provider": "espeak", "rows": 0}, "rows"),
        ({"provider": "espeak", "drain_s": -1}, "drain_s"),
        ({"provider": "espeak", "max_queued": 0}, "max_queued"),
        ({"providers": {}}, "providers"),
        ({"providers": {"espeak": {"modle": "x"}}}, "did you mean 'model'"),
        ({"providers": ["espeak"]}, "providers"),
        ({"provider": "espeak", "aliases": {"a": "nobody"}}, "nobody"),
        ({"provider": "espeak", "http": {"port": 80}}, "port"),
        ({"provider": "espeak", "http": {"max_input_char": 80}}, "max_input_chars"),
        ({"provider": "espeak", "http": {"max_input_chars": -1}}, "max_input_chars"),
        ({"provider": "espeak", "max_replicas": 2, "autoscaling": {"downscale_delay": 5}}, "downscale_delay_s"),
        ({"provider": "espeak", "max_replicas": 2, "autoscaling": {"upscale_delay_s": -1}}, "autoscaling"),
        ({"provider": "espeak", "max_replicas": 2, "autoscaling": {"upscale_delay_s": "soon"}}, "autoscaling"),
        ({"provider": "espeak", "max_replicas": 2, "autoscaling": {"max_replicas": 0}}, "autoscaling"),
    ],
)
def test_what_is_wrong_is_named(arguments, words):
    """With the setting at fault, and a fix."""
    with pytest.raises(SettingsError, match="Fix: ") as caught:
        app(arguments)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("own", "ongoing", "queued"),
    [
        ({}, 9, 8),
        ({"rows": 3, "max_replicas": 4}, 4, 12),
        ({"settings.max_batch": 2}, 3, 2),
        ({"max_queued": 1}, 9, 1),
        ({"provider": "not-installed-here"}, 9, 8),
    ],
)
def test_requests_at_a_time_follow_from_the_provider(own, ongoing, queued):
    """Its rows, and one that waits for a place; Serve takes the application as `serve run` makes it."""
    application = call_user_app_builder_with_args_if_necessary(app, {"provider": "espeak", **own})
    (replicas,) = application._bound_deployment.init_args[0].values()
    deployment = replicas._bound_deployment
    assert (deployment.max_ongoing_requests, deployment.max_queued_requests) == (ongoing, queued)
