"""Changing parameters needs no new graph, and a graph draws what an eager step draws."""

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from graph_backends import GRAPHS  # noqa: E402
from tests.accel.samplers import (  # noqa: E402
    EVERYTHING,
    V,
    random_logits,
    sampler_of,
    steps,
)

from realtts.accel.graphs.cuda_graph import CudaGraphs, GraphRunner  # noqa: E402
from realtts.accel.sampling import Sampler, SamplingParams, SamplingRecipe  # noqa: E402
from realtts.testing.recording import RecordingGraphs  # noqa: E402

pytestmark = pytest.mark.usefixtures("unchanged")
DEVICES = {RecordingGraphs: "cpu", CudaGraphs: "cuda"}


class Captured:
    """A sampler whose step is a graph: static logits and tokens, and a history that grows inside."""

    def __init__(self, recipe, rows, backend, device="cpu"):
        self.sampler = Sampler(recipe, rows, device, skip_idle=False)
        self.logits = torch.zeros(rows, recipe.vocabulary, device=device)
        self.step = torch.zeros(rows, dtype=torch.int64, device=device)
        self.tokens = torch.zeros(rows, dtype=torch.int64, device=device)
        self.runner = GraphRunner(
            [*self.sampler.state, self.step, self.tokens], self.sampler.noise.generators, backend=backend
        )

    def draw(self, logits):
        """One step by replay."""
        self.logits.copy_(logits)
        self.runner.run(self.sampler.structure, self._work)
        return self.tokens.clone().cpu()

    def _work(self):
        self.tokens.copy_(self.sampler(self.logits, self.step))
        self.sampler.observe(self.tokens, torch.ones_like(self.tokens, dtype=torch.bool))
        self.step.add_(1)


def eagerly(recipe, params, seed, logits, device="cpu"):
    """What an eager sampler draws for one row after the other."""
    sampler = sampler_of(recipe, [params], seeds=[seed], device=device)
    tokens = []
    for number, one in enumerate(logits):
        token = sampler(one[None].to(device), steps(1, number).to(device))
        sampler.observe(token, torch.ones_like(token, dtype=torch.bool))
        tokens.append(token.item())
    return tokens


REQUESTS = [
    SamplingParams(),
    EVERYTHING,
    SamplingParams(temperature=1.5, top_k=64),
    SamplingParams(top_p=0.3, min_new_tokens=5),
    SamplingParams(greedy=True, repetition_penalty=2.0),
    SamplingParams(min_p=0.2, top_k=1),
]


@pytest.mark.parametrize("graph_backend", GRAPHS, indirect=True)
@pytest.mark.parametrize("window", [None, 4])
def test_new_parameters_need_no_new_graph(graph_backend, window):
    """Requests one after the other, each with other parameters and seeds: one capture, and the tokens of eager runs."""
    recipe = SamplingRecipe(V, stop_tokens=(3,), penalty_window=window)
    device = DEVICES[graph_backend]
    captured = Captured(recipe, 2, graph_backend(), device)
    for number, params in enumerate(REQUESTS):
        captured.step.zero_()
        captured.sampler.set(0, params, seed=number)
        captured.sampler.set(1, REQUESTS[-1 - number], seed=50 + number)
        logits = random_logits(12, 2, V, seed=number)
        tokens = torch.stack([captured.draw(one) for one in logits])
        assert tokens[:, 0].tolist() == eagerly(recipe, params, number, logits[:, 0], device)
        assert tokens[:, 1].tolist() == eagerly(recipe, REQUESTS[-1 - number], 50 + number, logits[:, 1], device)
    assert captured.runner.captures == 1


@pytest.mark.parametrize("narrow", [False, True])
@pytest.mark.parametrize("graph_backend", GRAPHS, indirect=True)
def test_a_larger_top_k_than_the_bound_needs_one(graph_backend, narrow):
    """Up to the bound none; above it one, which then serves all that are smaller."""
    recipe = SamplingRecipe(1000, max_top_k=32, narrow=narrow)
    device = DEVICES[graph_backend]
    captured = Captured(recipe, 1, graph_backend(), device)
    captures = []
    for k in (1, 32, 33, 2, 60):
        captured.step.zero_()
        captured.sampler.set(0, SamplingParams(top_k=k), seed=k)
        logits = random_logits(6, 1, 1000, seed=k)
        tokens = [captured.draw(one).item() for one in logits]
        assert tokens == eagerly(recipe, SamplingParams(top_k=k), k, logits[:, 0], device)
        captures.append(captured.runner.captures)
    assert captures == [1, 1, 2, 2, 2]


def test_structure_tells_what_an_eager_step_leaves_out():
    """With ``skip_idle`` a step depends on what is idle, so that a capture of it would be thrown away in time."""
    sampler = sampler_of(SamplingRecipe(V), [SamplingParams()] * 2)
    seen = [sampler.structure]
    for params in (SamplingParams(temperature=0.5), SamplingParams(greedy=True)):
        sampler.set(0, params, 0)
        sampler.set(1, params, 0)
        seen.append(sampler.structure)
    assert len(set(seen)) == 3
