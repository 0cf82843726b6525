"""The backends of graphs that tests of loops run with, for the fixture `graph_backend`."""

import pytest

from realtts.accel.graphs.cuda_graph import CudaGraphs
from realtts.testing.recording import RecordingGraphs

RECORDED = pytest.param(RecordingGraphs, id="recorded")
CUDA = pytest.param(CudaGraphs, id="cuda", marks=pytest.mark.gpu)
GRAPHS = (RECORDED, CUDA)
BACKENDS = (pytest.param(None, id="eager"), *GRAPHS)
