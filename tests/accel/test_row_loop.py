"""The loop of rows that come and go: each row as if it were alone, graphs that serve all, and nothing that grows."""

import gc
import itertools
import random
from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from families import HIDDEN, VOCABULARY, build  # noqa: E402
from graph_backends import BACKENDS  # noqa: E402

from realtts import DecoderError, InvalidOption, NotFinite  # noqa: E402
from realtts.accel.decoder import Buckets, DecodeLoop, Prompt, RowLoop, Taps, fit_chunk  # noqa: E402
from realtts.accel.graphs.cuda_graph import CudaGraphs  # noqa: E402
from realtts.accel.sampling import HashedNoise, SamplingParams, SamplingRecipe  # noqa: E402
from realtts.testing.recording import RecordingGraphs  # noqa: E402

STOPS, CAP = (7, 20, 33, 46, 59), 160
PLAIN = ("repetition_penalty", "temperature", "top_k", "top_p")
GUIDED = ("guidance", "repetition_penalty", "temperature", "min_p", "top_p")


@pytest.fixture(scope="module", params=["qwen3", pytest.param("gpt2", marks=pytest.mark.full)])
def family(request):
    """A Llama with most features, and the family with learned positions."""
    return build(request.param)


@pytest.fixture(scope="module")
def qwen3():
    """The family with most features."""
    return build("qwen3")


def make_loop(family, *, order=PLAIN, backend=None, kind=RowLoop, recipe=None, embedding=None, **options):
    """A loop of four places, or another kind of loop over the same decoder."""
    device = "cuda" if backend is CudaGraphs else "cpu"
    decoder = family.decoder(rows=(2,), device=device)
    per_stream = 2 if "guidance" in order else 1
    embed = family.embed.to(device)
    places = None if family.places is None else family.places.to(device)

    def next_embedding(tokens, _step, state):
        x = embed[tokens].repeat(per_stream, 1)
        return x if places is None else x + places[state["position"]]

    sizes = {"places": 4, "chunk": 8} if kind is RowLoop else {}
    return kind(
        decoder,
        decoder.pack(family.head),
        embedding or next_embedding,
        recipe or SamplingRecipe(VOCABULARY, order=order, stop_tokens=STOPS),
        **{"cap": CAP, "backend": backend and backend(), **sizes, **options},
    )


def request_of(number, *, per_stream=1, device="cpu"):
    """Prompt, sampling, seed and limit of a request: all of them its own."""
    draw = random.Random(number)
    noise = torch.Generator().manual_seed(number)
    x = torch.randn(per_stream, draw.randint(1, 30), HIDDEN, generator=noise).to(device)
    params = SamplingParams(
        temperature=draw.choice([0.5, 0.9, 1.4]),
        top_k=draw.choice([0, 0, 5, 90]),
        top_p=draw.choice([1.0, 0.9]),
        min_p=draw.choice([0.0, 0.03]),
        repetition_penalty=draw.choice([1.0, 1.3]),
        guidance=0.5 if per_stream == 2 else 0.0,
        min_new_tokens=draw.choice([0, 5, 20]),
        greedy=draw.random() < 0.2,
        stop_tokens=draw.choice([None, (3, 9), tuple(range(0, VOCABULARY, 6)), ()]),
    )
    history = [draw.randrange(VOCABULARY) for _ in range(draw.randint(0, 3))]
    return Prompt(x), params, {"seed": 1000 + number, "most": draw.randint(1, 35), "history": history}


def serve(loop, numbers, *, seed=0, cancel=(), again=(), per_stream=1, each=lambda _loop: None):
    """Admit requests at random times, cancel some and draw some anew, each after some tokens; their tokens and ends."""
    draw, waiting = random.Random(seed), deque_of(numbers)
    found, ends, redrawn = {number: [] for number in numbers}, {}, set()
    while waiting or loop.busy:
        while waiting and loop.free and draw.random() < 0.6:
            number = waiting.pop(0)
            prompt, params, options = request_of(number, per_stream=per_stream, device=loop.decoder.device)
            loop.admit(number, prompt, params, **options)
        for block in loop.step():
            found[block.number].extend(block.tokens)
            count = len(found[block.number])
            if block.number in again and block.number not in redrawn and (count >= 4 or block.end):
                redrawn.add(block.number)
                found[block.number].clear()
                loop.redraw(block.number, seed=1000 + block.number)
            elif block.end or (block.number in cancel and count >= 3):
                ends[block.number] = block.end or "cancelled"
                loop.release(block.number)
        each(loop)
    return found, ends


def deque_of(numbers):
    """A list of its own to be emptied."""
    return list(numbers)


def alone(loop, number, *, per_stream=1):
    """Tokens and end of a request when nobody else is there."""
    found, ends = serve(loop, [number], per_stream=per_stream)
    return found[number], ends[number]


# -- each as if it were alone ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [PLAIN, GUIDED], ids=["plain", "guided"])
@pytest.mark.parametrize("graph_backend", BACKENDS, indirect=True)
def test_a_row_is_what_it_is_alone(family, order, graph_backend):
    """Whoever is there, whenever it comes, in whichever place; also those that are cancelled or drawn anew."""
    per_stream = 2 if order is GUIDED else 1
    numbers, cancel, again = range(14), {3, 11}, {5, 6}
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


@pytest.mark.parametrize("order", [PLAIN, GUIDED], ids=["plain", "guided"])
def test_a_row_draws_what_the_fixed_loop_draws(family, order):
    """The loop whose streams begin together reads prompts as a whole; the tokens are the same."""
    per_stream = 2 if order is GUIDED else 1
    found, _ = serve(make_loop(family, order=order), range(12), per_stream=per_stream)
    fixed = make_loop(family, order=order, kind=DecodeLoop)
    for number in range(12):
        prompt, params, options = request_of(number, per_stream=per_stream)
        fixed.begin(prompt, [params], [options["seed"]], [options["most"]], history=[options["history"]])
        assert [token for block in fixed.run() for token in block.tokens[0]] == found[number], number


def test_graphs_give_what_eager_decoding_gives(qwen3):
    """Over all numbers of rows and all lengths, with the same requests in the same order."""
    requests = {"numbers": range(10), "cancel": {2}, "again": {4}}
    assert serve(make_loop(qwen3, backend=RecordingGraphs), **requests) == serve(make_loop(qwen3), **requests)


@pytest.mark.parametrize("every", [1, 3, 8])
@pytest.mark.parametrize("backend", [None, RecordingGraphs], ids=["eager", "recorded"])
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

    found, _ = serve(loop(3), range(8))
    assert found == {number: alone(loop(1), number)[0] for number in range(8)}


def test_a_narrowed_vocabulary(qwen3):
    """Rows with a top k beside rows without."""
    recipe = SamplingRecipe(VOCABULARY, order=PLAIN, stop_tokens=STOPS, narrow=True, max_top_k=100)
    found, _ = serve(make_loop(qwen3, recipe=recipe), range(10))
    single = make_loop(qwen3, recipe=recipe, places=1)
    assert found == {number: alone(single, number)[0] for number in range(10)}


def test_a_prefix_serves_many_rows(qwen3):
    """A row behind a copied prefix draws what it draws when it reads the whole prompt."""
    loop = make_loop(qwen3)
    shared = torch.randn(1, 24, HIDDEN, generator=torch.Generator().manual_seed(1))
    prefix = loop.decoder.new_cache(1, 32)
    with torch.inference_mode():
        loop.decoder.prefill(shared, prefix)
    found = {}
    for attempt in range(2):
        for number in range(4):
            prompt, params, options = request_of(number)
            if attempt == 0:
                loop.admit(number, prompt, params, **options, prefix=(prefix, 24))
            else:
                whole = Prompt(torch.cat([shared, prompt.embeddings], 1))
                loop.admit(number, whole, params, **options)
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
        loop.admit(number, Prompt(x), SamplingParams(stop_tokens=()), seed=number, most=20)
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


@pytest.mark.parametrize("backend", [None, RecordingGraphs], ids=["eager", "recorded"])
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
                prompt, params, options = request_of(number)
                text = torch.randn(12, HIDDEN, generator=torch.Generator().manual_seed(number))
                loop.admit(number, prompt, params, **options, state={"text": text})
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


def test_a_broken_row_fails_alone(qwen3):
    """Its logits are not finite; the others go on, and the next row in its place finds nothing of it."""
    loop = make_loop(qwen3, places=2)
    expected = {number: alone(make_loop(qwen3, places=1), number) for number in (1, 2)}
    bad, params, options = request_of(0)
    bad.embeddings[0, 0, 3] = float("nan")
    loop.admit(0, bad, params, **options)
    for number in (1, 2):
        if number == 2:
            while 0 in loop.numbers:
                blocks = {block.number: block for block in loop.step()}
                if 0 in blocks:
                    assert blocks[0].end == "broken"
                    assert isinstance(blocks[0].error, NotFinite)
                    loop.release(0)
        prompt, params, options = request_of(number)
        loop.admit(number, prompt, params, **{**options, "most": 60})
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
    backend = loop._graphs._runner._backend
    captures = backend.captures
    assert 0 < len(loop.queue.graphs) <= 24
    state = [tensor.data_ptr() for tensor in loop._steps.state]
    tensors = []

    def count(_loop):
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


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"number": 1}, DecoderError, "row 1 has a place already"),
        ({"most": 0}, DecoderError, "max_new_tokens"),
        ({"most": 200}, DecoderError, "160 slots"),
        ({"seed": -1}, DecoderError, "seeds"),
        ({"history": [VOCABULARY]}, DecoderError, "history"),
        ({"prompt": Prompt(torch.zeros(1, 0, HIDDEN))}, DecoderError, "shape"),
        ({"prompt": Prompt(torch.zeros(2, 4, HIDDEN))}, DecoderError, "shape"),
        ({"prompt": Prompt(torch.zeros(1, 4, HIDDEN + 1))}, DecoderError, "shape"),
        ({"prompt": Prompt(torch.zeros(1, 4, HIDDEN), torch.ones(1, 4, dtype=torch.bool))}, DecoderError, "padding"),
        ({"params": SamplingParams(stop_tokens=(VOCABULARY,))}, InvalidOption, "stop_tokens"),
        ({"state": {"nothing": torch.zeros(1)}}, DecoderError, "state 'nothing'"),
    ],
    ids=["number", "nothing", "too long", "seed", "history", "empty", "rows", "width", "padding", "stop", "state"],
)
def test_a_refused_row_disturbs_nobody(qwen3, change, error, message):
    """It is refused by name before anything is changed."""
    loop = make_loop(qwen3, places=2)
    expected = alone(make_loop(qwen3, places=1), 1)[0]
    prompt, params, options = request_of(1)
    loop.admit(1, prompt, params, **options)
    found = [token for block in loop.step() for token in block.tokens]
    other, other_params, other_options = request_of(2)
    given = {"number": 2, "prompt": other, "params": other_params, **other_options, **change}
    with pytest.raises(error, match=message):
        loop.admit(given.pop("number"), given.pop("prompt"), given.pop("params"), **given)
    assert loop.free == 1
    while loop.busy:
        found += [token for block in loop.step() for token in block.tokens]
    assert found == expected


def test_no_place_is_left(qwen3):
    """One more than there are places, and rows that are not there."""
    loop = make_loop(qwen3, places=1)
    prompt, params, options = request_of(1)
    loop.admit(1, prompt, params, **options)
    with pytest.raises(DecoderError, match="all 1 places"):
        loop.admit(2, prompt, params, **options)
    for call in (loop.release, lambda number: loop.redraw(number, seed=1)):
        with pytest.raises(DecoderError, match="there is no row 5"):
            call(5)
    with pytest.raises(DecoderError, match="at least 1"):
        make_loop(qwen3, places=0)


# -- nothing grows --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [200, pytest.param(10_000, marks=pytest.mark.full)])
def test_nothing_grows(count, unchanged):
    """Neither tensors nor graphs nor bytes, however many rows come and go; one in ten is cancelled, one in ten anew."""
    family = build("qwen3")
    loop = make_loop(family, places=8, cap=64)

    def some(numbers):
        numbers = list(numbers)
        waiting = list(numbers)
        while waiting or loop.busy:
            while waiting and loop.free:
                number = waiting.pop()
                prompt = Prompt(torch.zeros(1, 1 + number % 9, HIDDEN))
                loop.admit(number, prompt, SamplingParams(), seed=number, most=1 + number % 3)
            for block in loop.step():
                if block.end is None and block.number % 10 == 3:
                    loop.redraw(block.number, seed=0, most=1)
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
