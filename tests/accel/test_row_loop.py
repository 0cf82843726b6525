"""The loop of rows that come and go: each row as if it were alone, graphs that serve all, and nothing that grows."""

import functools
import gc
import itertools
from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from families import HIDDEN, VOCABULARY, build  # noqa: E402
from row_loops import CAP, GUIDED, PLAIN, STOPS, alone, make_loop, request_of, serve  # noqa: E402

from realtts import DecoderError, InvalidOption, NotFinite  # noqa: E402
from realtts.accel.decoder import Admission, Buckets, Taps, fit_chunk  # noqa: E402
from realtts.accel.graphs.cuda_graph import CudaGraphs  # noqa: E402
from realtts.accel.sampling import GeneratorNoise, HashedNoise, Sampler, SamplingParams, SamplingRecipe  # noqa: E402
from realtts.testing.recording import RecordingGraphs  # noqa: E402

EAGER_AND_RECORDED = (
    pytest.param(None, id="eager", marks=pytest.mark.full),
    pytest.param(RecordingGraphs, id="recorded"),
)
"""By default as graphs, which eager steps are compared with in `test_graphs_give_what_eager_decoding_gives`."""


@pytest.fixture(scope="module", params=["qwen3", pytest.param("gpt2", marks=pytest.mark.full)])
def family(request):
    """A Llama with most features, and the family with learned positions."""
    return build(request.param)


@pytest.fixture(scope="module")
def qwen3():
    """The family with most features."""
    return build("qwen3")


# -- each as if it were alone ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("graph_backend", "order"),
    [
        pytest.param(RecordingGraphs, GUIDED, id="recorded-guided"),
        *(pytest.param(*each, id=name, marks=pytest.mark.full) for name, *each in (
            ("eager-plain", None, PLAIN), ("eager-guided", None, GUIDED), ("recorded-plain", RecordingGraphs, PLAIN),
        )),
        *(pytest.param(CudaGraphs, each, id=f"cuda-{name}", marks=pytest.mark.gpu) for name, each in (
            ("plain", PLAIN), ("guided", GUIDED),
        )),
    ],
    indirect=["graph_backend"],
)  # fmt: skip
def test_a_row_is_what_it_is_alone(family, order, graph_backend):
    """Whoever is there, whenever it comes, in whichever place; also those that are cancelled or drawn anew."""
    per_stream = 2 if order is GUIDED else 1
    numbers, cancel, again = range(10), {3, 8}, {5, 6}
    loop = make_loop(family, order=order, backend=graph_backend)
    single = make_loop(family, order=order, backend=graph_backend, places=1)
    found, ends = serve(loop, numbers, cancel=cancel, again=again, per_stream=per_stream)
    for number in numbers:
        tokens, end = alone(single, number, per_stream=per_stream)
        if ends[number] == "cancelled":
            tokens, end = tokens[: len(found[number])], "cancelled"
        assert (found[number], ends[number]) == (tokens, end), number
    assert {"stop", "length", "cancelled"} <= set(ends.values())
    assert loop.free == 4
    assert loop.queue.row_steps > 2 * loop.queue.steps, "rows ran beside each other"


def test_graphs_give_what_eager_decoding_gives(qwen3):
    """Over all numbers of rows and all lengths, with the same requests in the same order."""
    requests = {"numbers": range(10), "cancel": {2}, "again": {4}}
    assert serve(make_loop(qwen3, backend=RecordingGraphs), **requests) == serve(make_loop(qwen3), **requests)


@pytest.mark.parametrize(
    ("backend", "every"),
    [pytest.param(None, 3, id="eager", marks=pytest.mark.full), pytest.param(RecordingGraphs, 8, id="recorded")],
)
def test_any_number_of_steps_at_a_time_gives_the_same(qwen3, backend, every):
    """A row may end in the middle of them, and at its last slot."""
    expected, ends = serve(make_loop(qwen3), range(6))
    found, found_ends = serve(make_loop(qwen3, backend=backend, check_every=every), range(6))
    assert found == expected
    assert found_ends == ends


@pytest.mark.parametrize("noise", ["generators", "hashed"])
def test_noise_is_the_rows_own(qwen3, noise):
    """From generators whose states move with the rows, and from a hash of each row's seed."""

    def loop(places):
        hashed = HashedNoise(places + 1, torch.device("cpu")) if noise == "hashed" else None
        return make_loop(qwen3, places=places, noise=hashed)

    found, _ = serve(loop(3), range(5))
    single = loop(1)
    assert found == {number: alone(single, number)[0] for number in range(5)}


def test_a_narrowed_vocabulary(qwen3):
    """Rows with a top k beside rows without."""
    recipe = SamplingRecipe(VOCABULARY, order=PLAIN, stop_tokens=STOPS, narrow=True, max_top_k=100)
    found, _ = serve(make_loop(qwen3, recipe=recipe), range(7))
    single = make_loop(qwen3, recipe=recipe, places=1)
    assert found == {number: alone(single, number)[0] for number in range(7)}


@pytest.mark.parametrize("backend", EAGER_AND_RECORDED)
def test_a_prefix_serves_many_rows(qwen3, backend):
    """A row behind a copied prefix draws what it draws when it reads the whole prompt."""
    loop = make_loop(qwen3, backend=backend)
    shared = torch.randn(1, 24, HIDDEN, generator=torch.Generator().manual_seed(1))
    prefix = loop.decoder.new_cache(1, 32)
    with torch.inference_mode():
        loop.decoder.prefill(shared, prefix)
    found = {}
    for attempt in range(2):
        for number in range(4):
            own = request_of(number)
            if attempt == 0:
                loop.admit(number, replace(own, prefix=(prefix, 24)))
            else:
                loop.admit(number, replace(own, prompt=torch.cat([shared, own.prompt], 1)))
        found[attempt] = {number: [] for number in range(4)}
        while loop.busy:
            for block in loop.step():
                found[attempt][block.number].extend(block.tokens)
        for number in range(4):
            loop.release(number)
    assert found[0] == found[1]


def test_chunks_have_the_borders_of_the_prompt(qwen3, monkeypatch):
    """Each row's prompt in eights, whoever else is read or decoded; one chunk between two steps."""
    loop, chunks = make_loop(qwen3), []
    prefill = loop.decoder.prefill

    def watched(x, cache, **options):
        chunks.append((options["rows"][0], x.shape[1]))
        return prefill(x, cache, **options)

    monkeypatch.setattr(loop.decoder, "prefill", watched)
    lengths = (20, 8, 3, 17)
    for number, length in enumerate(lengths):
        x = torch.randn(1, length, HIDDEN, generator=torch.Generator().manual_seed(number))
        loop.admit(number, Admission(x, SamplingParams(stop_tokens=()), seed=number, most=20))
    counts = []
    while loop.busy:
        before = len(chunks)
        loop.step()
        counts.append(len(chunks) - before)
    assert chunks == [(0, 8), (0, 8), (0, 4), (1, 8), (2, 3), (3, 8), (3, 8), (3, 1)]
    assert counts[:8] == [1] * 8


def test_a_chunk_takes_no_longer_than_two_steps(qwen3, monkeypatch, own_folders):
    """By a clock that only steps and prompts move; measured once and kept."""
    now, decoder = [0.0], qwen3.decoder(rows=(2,))
    monkeypatch.setattr("time.perf_counter", lambda: now[0])
    prefill, step = decoder.prefill, decoder.step

    def costing(seconds, work):
        def run(x, *given, **options):
            now[0] += seconds(x.shape[1])
            return work(x, *given, **options)

        return run

    for per_position, expected in ((0.1, 16), (0.03, 64), (5.0, 8), (0.001, 256)):
        decoder.prefill, decoder.step = costing(lambda n, s=per_position: n * s, prefill), costing(lambda _: 1.0, step)
        decoder.kernel = replace(decoder.kernel, name=f"a kernel of {per_position}")
        assert fit_chunk(decoder) == expected
        decoder.prefill = decoder.step = None
        assert fit_chunk(decoder) == expected, "it was kept"
        decoder.prefill, decoder.step = prefill, step


# -- what the model holds of each row -------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", EAGER_AND_RECORDED)
def test_the_models_own_state_goes_by_row(qwen3, backend):
    """A text that is consumed step by step, a processor with a state, taps that it reads, and outputs per frame."""
    embed = qwen3.embed

    def build_loop(places):
        rows = places + 1
        text, used = torch.zeros(rows, 12, HIDDEN), torch.zeros(rows, dtype=torch.int64)
        looks, frames = torch.zeros(rows), torch.zeros(rows, CAP, 2, dtype=torch.int64)
        taps = Taps([(1, 2)], rows=rows, cap=CAP)

        def embedding(tokens, step, state):
            at = state["rows"]
            own = state["text"][at, (step - 1).clamp(max=11)]
            state["used"].index_copy_(0, at, state["used"][at] + state["live"])
            column = torch.where(state["live"], step - 1, CAP - 1)
            frames.index_put_((at, column), torch.stack([tokens, state["used"][at]], 1))
            return embed[tokens] + own + 0.1 * state["hidden"]

        def processor(scores, _step, at):
            back = taps.step[0, at, :4].sum(-1)
            looks.index_copy_(0, at, looks[at] * 0.5 + back)
            return scores * (1 + looks[at])[:, None].clamp(max=1.5)

        recipe = SamplingRecipe(VOCABULARY, order=("own", *PLAIN), stop_tokens=STOPS, own={"own": processor})
        return make_loop(
            qwen3, recipe=recipe, places=places, backend=backend, embedding=embedding, taps=taps, outputs=frames,
            row_state={"text": text, "used": used, "looks": looks},
        )  # fmt: skip

    def run(loop, numbers):
        waiting, tokens, frames = list(numbers), {n: [] for n in numbers}, {n: [] for n in numbers}
        while waiting or loop.busy:
            if waiting and loop.free:
                number = waiting.pop(0)
                text = torch.randn(12, HIDDEN, generator=torch.Generator().manual_seed(number))
                loop.admit(number, replace(request_of(number), state={"text": text}))
            for block in loop.step():
                tokens[block.number].extend(block.tokens)
                frames[block.number].extend(block.outputs.tolist())
                if block.end:
                    # A frame is written when the token behind it is drawn, and that may be the end.
                    assert len(frames[block.number]) == len(tokens[block.number]) - (block.end == "length")
                    loop.release(block.number)
        return tokens, frames

    tokens, frames = run(build_loop(3), range(7))
    single = build_loop(1)
    for number in range(7):
        own, own_frames = run(single, [number])
        assert (tokens[number], frames[number]) == (own[number], own_frames[number])
        assert own_frames[number] == [[token, n + 1] for n, token in enumerate(own[number])][: len(own_frames[number])]


@pytest.mark.parametrize("backend", EAGER_AND_RECORDED)
def test_the_models_own_sampler_follows_the_rows(qwen3, backend):
    """A model that draws a second token in each step, with noise and parameters of each row."""

    def build_loop(places):
        recipe = SamplingRecipe(VOCABULARY, order=PLAIN[1:])
        own, seconds = (
            Sampler(recipe, places + 1, skip_idle=backend is None),
            torch.zeros(places + 1, CAP + 1, 1).long(),
        )

        def embedding(tokens, step, state):
            drawn = own(loop.decoder_head(state["hidden"]), step)
            seconds.index_put_((state["rows"], torch.where(state["live"], step - 1, CAP)), drawn[:, None])
            return qwen3.embed[tokens] + 0.1 * qwen3.embed[drawn]

        loop = make_loop(
            qwen3, places=places, backend=backend, embedding=embedding, samplers=[own], outputs=seconds,
            noise=GeneratorNoise(places + 1, torch.device("cpu")),
        )  # fmt: skip
        loop.decoder_head = loop.decoder.pack(qwen3.head)
        return loop, own

    def run(loop, own, numbers):
        waiting, drawn = list(numbers), {number: [] for number in numbers}
        while waiting or loop.busy:
            while waiting and loop.free:
                number = waiting.pop(0)
                request, own_params = request_of(number), SamplingParams(0.5 + number / 10, top_k=3 * number)
                placed = functools.partial(own.set, params=own_params, seed=77 + number)
                loop.admit(number, replace(request, params=replace(request.params, stop_tokens=()), placed=placed))
            for block in loop.step():
                drawn[block.number] += [*block.tokens, *block.outputs.flatten().tolist()]
                if block.end:
                    loop.release(block.number)
        return drawn

    together, (single, own) = run(*build_loop(3), range(7)), build_loop(1)
    for number in range(7):
        assert together[number] == run(single, own, [number])[number], number


def test_a_row_that_nobody_has_is_not_written(qwen3, monkeypatch):
    """On the CPU keys and values take memory where a row was spoken, and as far as it went."""
    monkeypatch.setattr("realtts.accel.decoder.cache._SMALL", 0)  # up to which all are zeroed at once
    loop = make_loop(qwen3, places=3)
    loop.cache._kv.fill_(1.0)
    serve(loop, range(4), seed=1)
    spoken = [bool((loop.cache._kv[:, :, row, :, 130:CAP] == 1.0).all()) for row in range(4)]
    assert spoken == [True] * 4, "no row went as far as that"
    assert bool((loop.cache._kv[:, :, 3, :, 1:CAP] == 1.0).all()), "the spare row"
    loop = make_loop(qwen3, places=3)
    loop.cache._kv.fill_(1.0)
    assert alone(loop, 1) == alone(make_loop(qwen3), 1)
    assert bool((loop.cache._kv[:, :, 1:, :, 1:CAP] == 1.0).all())


def test_a_broken_row_fails_alone(qwen3):
    """Its logits are not finite; the others go on, and the next row in its place finds nothing of it."""
    loop = make_loop(qwen3, places=2)
    expected = {number: alone(make_loop(qwen3, places=1), number) for number in (1, 2)}
    bad = request_of(0)
    bad.prompt[0, 0, 3] = float("nan")
    loop.admit(0, bad)
    for number in (1, 2):
        if number == 2:
            while 0 in loop.numbers:
                blocks = {block.number: block for block in loop.step()}
                if 0 in blocks:
                    assert blocks[0].end == "broken"
                    assert isinstance(blocks[0].error, NotFinite)
                    assert "its weights are to blame" in str(blocks[0].error), "in float32 no switch would help"
                    loop.release(0)
        loop.admit(number, replace(request_of(number), most=60))
    found = {1: [], 2: []}
    while loop.busy:
        for block in loop.step():
            found[block.number].extend(block.tokens)
    for number, (tokens, _) in expected.items():
        assert found[number][: len(tokens)] == tokens


# -- graphs ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("places", [3, *(pytest.param(places, marks=pytest.mark.full) for places in (1, 8, 16))])
def test_few_graphs_serve_all(qwen3, places):
    """At most 24 for steps; after the warm-up none is captured while rows come and go, and no tensor is made anew."""
    recipe = SamplingRecipe(VOCABULARY, order=PLAIN, stop_tokens=STOPS, max_top_k=VOCABULARY)
    loop = make_loop(qwen3, recipe=recipe, backend=RecordingGraphs, places=places)
    loop.warm_up()
    backend = loop._backend._counting
    captures = backend.captures
    assert 0 < len(loop.queue.graphs) <= 24
    state = [tensor.data_ptr() for tensor in loop._steps.state]
    tensors = []

    steps = itertools.count()

    def count(_loop):
        if next(steps) % 6 == 0:  # a look at all objects takes longer than a step
            gc.collect(0)
            tensors.append(sum(type(o) is torch.Tensor for o in gc.get_objects()))

    serve(loop, range(8), cancel={3}, again={5}, each=count if places == 3 else lambda _loop: None)
    assert backend.captures == captures
    assert [tensor.data_ptr() for tensor in loop._steps.state] == state
    if tensors:
        assert max(tensors[len(tensors) // 2 :]) <= max(tensors[: len(tensors) // 2]) + 4


def test_buckets_that_grow():
    """Few, each larger than the one before, the last one the cap."""
    for cap, most in itertools.product((1, 63, 64, 100, 128, 129, 500, 1024, 2048, 6144), (1, 2, 4, 6, 24)):
        buckets = Buckets.growing(cap, most)
        ends = buckets.all()
        assert ends == sorted(set(ends))
        assert ends[-1] == cap
        assert len(ends) <= most
        assert all(buckets.holding(n) == next(end for end in ends if end >= n) for n in range(1, cap + 1))
        assert buckets.up_to(cap) == ends
    assert Buckets.growing(2048, 6).all() == [128, 192, 384, 704, 1152, 2048]
    with pytest.raises(DecoderError, match="end them with the cap"):
        Buckets(100, lengths=(10, 20))


# -- what does not fit ----------------------------------------------------------------------------------------------


REFUSED = [
    ({"most": 0}, DecoderError, "most is 0"),
    ({"most": 200}, DecoderError, "160 slots"),
    ({"seed": -1}, DecoderError, "the seed is -1"),
    ({"seed": 2**64}, DecoderError, "the seed is 1844"),
    ({"history": [VOCABULARY]}, DecoderError, "history"),
    ({"prompt": torch.zeros(1, 0, HIDDEN)}, DecoderError, "shape"),
    ({"prompt": torch.zeros(2, 4, HIDDEN)}, DecoderError, "shape"),
    ({"prompt": torch.zeros(1, 4, HIDDEN + 1)}, DecoderError, "shape"),
    ({"prompt": torch.zeros(HIDDEN)}, DecoderError, "shape"),
    ({"params": SamplingParams(stop_tokens=(VOCABULARY,))}, InvalidOption, "stop_tokens"),
    ({"state": {"nothing": torch.zeros(1)}}, DecoderError, "state 'nothing'"),
]


def test_a_refused_row_disturbs_nobody(qwen3):
    """It is refused by name before anything is changed."""
    loop = make_loop(qwen3, places=2)
    expected = alone(make_loop(qwen3, places=1), 1)[0]
    loop.admit(1, request_of(1))
    found = [token for block in loop.step() for token in block.tokens]
    with pytest.raises(DecoderError, match="row 1 has a place already"):
        loop.admit(1, request_of(2))
    with pytest.raises(DecoderError, match="the seed is -1"):
        loop.redraw(1, seed=-1)
    for change, error, message in REFUSED:
        with pytest.raises(error, match=message):
            loop.admit(2, replace(request_of(2), **change))
        assert loop.free == 1
        found += [token for block in loop.step() for token in block.tokens]
    while loop.busy:
        found += [token for block in loop.step() for token in block.tokens]
    assert found == expected


def test_no_place_is_left(qwen3):
    """One more than there are places, and rows that are not there."""
    loop = make_loop(qwen3, places=1)
    loop.admit(1, request_of(1))
    with pytest.raises(DecoderError, match="all 1 places"):
        loop.admit(2, request_of(1))
    for call in (loop.release, lambda number: loop.redraw(number, seed=1)):
        with pytest.raises(DecoderError, match="there is no row 5"):
            call(5)
    for size in ("places", "check_every", "chunk"):
        with pytest.raises(DecoderError, match="at least 1"):
            make_loop(qwen3, **{size: 0})


def test_a_place_that_the_model_refuses_stays_free(qwen3):
    """What ``placed`` raises is raised, and the next one has the place."""

    def placed(place):
        raise ValueError(place)

    loop = make_loop(qwen3, places=1)
    with pytest.raises(ValueError, match="0"):
        loop.admit(1, replace(request_of(1), placed=placed))
    assert (loop.free, loop.busy) == (1, False)
    assert alone(loop, 1) == alone(make_loop(qwen3, places=1), 1)


# -- nothing grows --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [100, pytest.param(10_000, marks=pytest.mark.slow)])
def test_nothing_grows(count, unchanged):
    """Neither tensors nor graphs nor bytes, however many rows come and go; one in ten is cancelled, one in ten anew."""
    family = build("qwen3")
    loop = make_loop(family, places=8, cap=64)

    def some(numbers):
        waiting, again = list(numbers), set()
        while waiting or loop.busy:
            while waiting and loop.free:
                number = waiting.pop()
                prompt = torch.zeros(1, 1 + number % 9, HIDDEN)
                loop.admit(number, Admission(prompt, SamplingParams(), seed=number, most=1 + number % 3))
            for block in loop.step():
                if block.number % 10 == 3 and block.number not in again:
                    again.add(block.number)
                    loop.redraw(block.number, seed=0)
                elif block.end or block.number % 10 == 1:
                    loop.release(block.number)
        gc.collect()
        tensors = [o for o in gc.get_objects() if type(o) is torch.Tensor]
        return len(tensors), sum(tensor.numel() for tensor in tensors)

    some(range(40))
    before = some(range(40))
    assert some(range(count)) == before
    assert loop.free == 8
    assert not loop.numbers
