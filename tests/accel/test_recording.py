"""The stand-in for CUDA graphs replays what it recorded, and refuses what a real capture refuses."""

import pytest

torch = pytest.importorskip("torch")

from realtts.accel.compile import compiled  # noqa: E402
from realtts.accel.graphs.cuda_graph import GraphRunner  # noqa: E402
from realtts.testing.recording import RecordingGraphs  # noqa: E402

pytestmark = pytest.mark.usefixtures("unchanged")


def test_replay_does_not_run_python_again():
    """Numbers of the host are those of the capture, and branches stay as they were taken."""
    x, y, number, calls = torch.ones(2), torch.zeros(2), [3], []

    def work():
        calls.append(1)
        y.copy_(x * number[0] if number[0] > 2 else x)

    replay = RecordingGraphs().capture(work, [])
    number[0] = 0
    x.fill_(2)
    replay()
    assert (y.tolist(), len(calls)) == ([6, 6], 1)


def test_results_appear_where_they_appeared():
    """A new tensor of the capture is a place that every replay fills, views of it included."""
    x, kept = torch.arange(6.0), {}

    def work():
        kept["sum"] = x.view(2, 3).sum(1)
        kept["last"] = kept["sum"][1:]
        kept["parts"] = x.sort(descending=True)

    replay = RecordingGraphs().capture(work, [])
    x.mul_(10)
    replay()
    assert kept["sum"].tolist() == [30, 120]
    assert kept["last"].tolist() == [120]
    assert kept["parts"].values.tolist() == [50, 40, 30, 20, 10, 0]


def test_views_and_copies_are_told_apart():
    """``reshape``, ``contiguous`` and ``to`` may be either; writes in place through a view reach the memory below."""
    x, y = torch.arange(6.0).view(2, 3), torch.zeros(2, 3)

    def work():
        copied = x.t().contiguous().reshape(6).to(torch.float64)
        looked = x.contiguous().reshape(6).to(torch.float32)
        y.view(6).copy_(copied)
        y[0].add_(looked[3:])

    replay = RecordingGraphs().capture(work, [])
    for factor in (1, 2, 4):
        replay()
        assert torch.equal(y, x.t().reshape(2, 3) + torch.stack([x[1], torch.zeros(3)]))
        x.mul_(factor)


def test_registered_generators_move_on_with_each_replay():
    """As without a graph, also after a new seed."""
    generator, noise = torch.Generator(), torch.zeros(4)

    def work():
        noise.exponential_(generator=generator)

    replay = RecordingGraphs().capture(work, [generator])
    for seed in (1, 2):
        expected = torch.Generator().manual_seed(seed)
        generator.manual_seed(seed)
        for _ in range(3):
            replay()
            assert torch.equal(noise, torch.empty(4).exponential_(generator=expected))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch's compiler
@pytest.mark.parametrize("how", [{"backend": "aot_eager"}, pytest.param({"mode": "default"}, marks=pytest.mark.full)])
def test_compiled_work_is_recorded_too(how):
    """Its operations, not the call of a function that only Python can make."""
    x, y = torch.ones(5), torch.zeros(5)
    doubled = compiled(lambda a: (a * 2).sin() + 1, fallback=True, **how)
    runner = GraphRunner(backend=RecordingGraphs())
    with torch.inference_mode():
        for value in (1.0, 2.0, 3.0):
            x.fill_(value)
            runner.run("key", lambda: y.copy_(doubled(x)))
            assert torch.allclose(y, (x * 2).sin() + 1)
    assert runner.captures == 1
    doubled.reset()


def test_what_happened_is_counted():
    """Warm-ups run the work."""
    backend, x = RecordingGraphs(), torch.zeros(1)
    backend.warm_up(lambda: x.add_(1))
    replays = [backend.capture(lambda: x.add_(1), []) for _ in range(2)]
    for replay in replays * 2:
        replay()
    assert (backend.warm_ups, backend.captures, backend.replays, x.item()) == (1, 2, 4, 7)


X = torch.arange(4.0)
STRANGER = torch.Generator()


@pytest.mark.parametrize(
    ("work", "reason"),
    [
        (X[0].item, "read by the host"),
        (lambda: bool((X > 0).all()), "read by the host"),
        (lambda: int(X.argmax()), "read by the host"),
        (lambda: torch.equal(X, X), "read by the host"),
        (X.nonzero, "depends on values"),
        (lambda: torch.where(X > 1), "depends on values"),
        (X.unique, "depends on values"),
        (lambda: X[X > 1], "mask's values"),
        (lambda: X.clone().__setitem__(X > 1, torch.zeros(2)), "mask's values"),
        (lambda: X.masked_select(X > 1), "depends on values"),
        (lambda: torch.multinomial(X, 1), "multinomial"),
        (lambda: torch.tensor([1, 2]), "host data"),
        (lambda: X[[1, 2]], "host data"),
        (lambda: torch.rand(2, generator=STRANGER), "not registered"),
        (lambda: X.clone().exponential_(generator=STRANGER), "not registered"),
    ],
    ids=[
        "item", "bool", "int", "equal", "nonzero", "where", "unique", "mask", "set by mask", "masked_select",
        "multinomial", "tensor", "list index", "rand", "exponential",
    ],
)  # fmt: skip
def test_what_a_capture_refuses_is_refused(work, reason):
    """With the operation; a registered generator in the same state as the stranger changes nothing."""
    with pytest.raises(RuntimeError, match=rf"graph capture: .*{reason}.*\(.*\)"):
        RecordingGraphs().capture(work, [torch.Generator()])


@pytest.mark.parametrize(
    "work",
    [
        lambda: X * 2.5 + 1,
        lambda: X[torch.arange(2)],
        lambda: torch.where(X > 1, X, 0.0),
        lambda: X.masked_fill(X > 1, float("-inf")).softmax(-1).argmax(-1),
        lambda: X.clone().scatter_(0, torch.arange(2), 1.0),
        lambda: X.topk(2).indices,
    ],
    ids=["numbers", "index", "where", "masked_fill", "scatter", "topk"],
)
def test_what_a_capture_takes_is_taken(work):
    """Fixed shapes and nothing for the host."""
    RecordingGraphs().capture(work, [])()


# -- memory that graphs share --------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.int64, torch.int8, torch.bool], ids=str)
def test_a_result_is_nonsense_where_another_graph_was_replayed(dtype):
    """As where graphs share a pool; a copy that was taken in time is right, and so is the result after a replay."""
    backend, x, results = RecordingGraphs(), torch.ones(3).to(dtype), {}
    replays = {
        name: backend.capture(lambda name=name: results.__setitem__(name, x.clone()), []) for name in ("one", "two")
    }
    for name, other in (("one", "two"), ("two", "one"), ("one", "two")):
        replays[name]()
        in_time = results[name].clone()
        assert torch.equal(in_time, x)
        replays[other]()
        assert not torch.equal(results[name], x) or dtype is torch.bool
    replays["two"]()
    assert torch.equal(results["two"], x)


def test_a_capture_computes_nothing():
    """What it has made is not there before the first replay; static memory, written in place, is what it was told."""
    x, y, made = torch.ones(2), torch.zeros(2), []
    replay = RecordingGraphs().capture(lambda: made.append(y.copy_(x) * 2), [])
    assert made[0].isnan().all()
    replay()
    assert (made[0].tolist(), y.tolist()) == ([2, 2], [1, 1])


def test_memory_that_is_not_written_holds_nothing():
    """Who counts on an empty tensor being what it was at the last replay is found out."""
    x, y = torch.ones(2), torch.zeros(2)

    def work():
        held = torch.empty(2)
        held[:1] = x[:1]
        y.copy_(held)

    backend = RecordingGraphs()
    replay, other = backend.capture(work, []), backend.capture(lambda: x * 2, [])
    other()
    replay()
    assert y[0] == 1


def test_a_failed_capture_takes_a_new_pool():
    """Graphs from before go on, those of the new pool do not touch them, and generators can be drawn from."""
    backend, x, results = RecordingGraphs(), torch.ones(2), {}
    generator = torch.Generator()
    before = backend.capture(lambda: results.__setitem__("before", x + 1), [])
    for number, fault in enumerate((X[0].item, X.nonzero, lambda: 1 / 0)):
        with pytest.raises((RuntimeError, ZeroDivisionError)):
            backend.capture(lambda fault=fault: (torch.rand(1, generator=generator), fault()), [generator])
        torch.rand(1, generator=generator)
        after = backend.capture(lambda: results.__setitem__("after", x + 2), [])
        assert backend.pools == number + 2
        before()
        after()
        assert (results["before"].tolist(), results["after"].tolist()) == ([2, 2], [3, 3])
    assert backend.pooled > 0


def test_graphs_of_one_pool_are_replayed_on_one_stream():
    """Two would write to the same memory at the same time; graphs apart share none."""
    backend, x = RecordingGraphs(), torch.ones(2)
    one, two = (backend.capture(lambda: x * 2, []) for _ in range(2))
    other = backend.apart().capture(lambda: x * 3, [])
    one()
    for _ in range(2):
        with backend.beside(), backend.apart().beside(joined=True):
            other()
        two()
        with backend.beside(), pytest.raises(RuntimeError, match="two streams"):
            one()
        with pytest.raises(RuntimeError, match="two streams"):
            other()
    assert (backend.captures, backend.beside_others, backend.joined) == (3, 6, 2)
