"""A cluster of two nodes on this machine, one for the whole session."""

from __future__ import annotations

import contextlib
import os
import socket
import uuid
import warnings
from pathlib import Path

import pytest
from ray_provider import DIARY

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # Ray's own, while it is imported
    import ray
    from ray import serve
    from ray.cluster_utils import Cluster

    import realtts_ray.mapper
    import realtts_ray.serving  # noqa: F401

SUPPORT = str(Path(__file__).parents[2] / "support")
MB = 2**20


def pytest_collection_modifyitems(items):
    """Take Ray's own warnings, which are many, as such."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.filterwarnings("ignore"))


def add_node(cluster, options):
    """Add a node; on a busy machine a first try may take longer than Ray waits, and leaves the files in memory."""
    for _ in range(2):
        with contextlib.suppress(Exception):
            return cluster.add_node(**options)
    return cluster.add_node(**options)


@pytest.fixture(scope="session")
def cluster(tmp_path_factory):
    """Two nodes of one core each; its processes write into the diary."""
    folder = tmp_path_factory.mktemp("cluster")
    (folder / "realtts.toml").touch()
    paths = [SUPPORT, *filter(None, [os.environ.get("PYTHONPATH")])]
    changes = {
        DIARY: str(folder / "diary"),
        "PYTHONPATH": os.pathsep.join(paths),
        "REALTTS_CONFIG": str(folder / "realtts.toml"),
        "REALTTS_DATA_DIR": str(folder / "data"),
        "RAY_DISABLE_IMPORT_WARNING": "1",
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
        "RAY_USAGE_STATS_ENABLED": "0",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in changes.items():
            patch.setenv(name, value)
        node = {"num_cpus": 1, "object_store_memory": 100 * MB, "include_dashboard": False}
        made = Cluster()
        for _ in range(2):
            add_node(made, node)
        ray.init(address=made.address, log_to_driver=False)
        yield made
        serve.shutdown()
        ray.shutdown()
        made.shutdown()


@pytest.fixture(scope="session")
def server(cluster):
    """Starts Serve; its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    serve.start(proxy_location="HeadOnly", http_options={"host": "127.0.0.1", "port": port})
    return f"http://127.0.0.1:{port}"


class Diary:
    """What was spoken."""

    def __init__(self, path):
        self.path = path

    def lines(self, word):
        """Process and text of every request whose text has a word."""
        if not self.path.exists():
            return []
        entries = [line.split(" ", 1) for line in self.path.read_text().splitlines()]
        return [(int(process), text) for process, text in entries if word in text]


@pytest.fixture
def diary(cluster):
    """What the cluster's processes spoke."""
    return Diary(Path(os.environ[DIARY]))


@pytest.fixture
def word():
    """A word that no other test says."""
    return uuid.uuid4().hex[:8]
