"""Attention of steps by the number of each row's keys: taken if it computes what torch's call with a mask does."""

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from families import build  # noqa: E402
from row_loops import GUIDED, PLAIN, make_loop, serve  # noqa: E402

from realtts.accel.decoder.attend import attend_prompt, attend_prompt_grouped  # noqa: E402
from realtts.accel.decoder.cache import KVCache  # noqa: E402
from realtts.accel.decoder.config import DecoderConfig  # noqa: E402
from realtts.accel.decoder.step_attention import FlashSteps, GatheredSteps, proven_step_attention  # noqa: E402
from realtts.testing.recording import RecordingGraphs  # noqa: E402

CPU = torch.device("cpu")


def config_of(heads, kv_heads, width=16):
    """A decoder's shape."""
    return DecoderConfig(layers=1, hidden_size=64, heads=heads, kv_heads=kv_heads, head_dim=width, mlp_size=64)


class Views(FlashSteps):
    """Flash's views of the cache, looked at without flash."""

    def begin(self, cache, rows, lengths, attended):
        """Take the tokens that flash is told to take."""
        from realtts.accel.decoder.step_attention import _as_tokens

        def attend(q, stored):
            keys, values = (_as_tokens(part) for part in stored)
            begins = rows * (stored.shape[2] * stored.shape[3])
            group = q.shape[1] // stored.shape[2]
            mixed = []
            for queries, begin, length in zip(q, begins.tolist(), lengths.tolist(), strict=True):
                own = slice(begin, begin + length)
                k, v = (part[own].repeat_interleave(group, 1).transpose(0, 1) for part in (keys, values))
                weights = (queries[:, None] @ k.transpose(1, 2) * q.shape[-1] ** -0.5).softmax(-1)
                mixed.append((weights @ v)[:, 0])
            return torch.stack(mixed)

        return attend


@pytest.mark.parametrize(("heads", "kv_heads"), [(4, 4), (4, 2), (8, 1), (6, 3), (2, 2)])
def test_flash_is_told_the_tokens_of_each_row(heads, kv_heads):
    """The views of the cache hold a row's keys, from its first slot on, whatever rows a step has."""
    assert isinstance(proven_step_attention(config_of(heads, kv_heads), torch.float32, CPU, [Views()]), Views)


class Wrong(GatheredSteps):
    """One that looks at a key too many."""

    def begin(self, cache, rows, lengths, attended):
        """Begin."""
        return super().begin(cache, rows, lengths + 1, attended)


class Raising:
    """One that does not work here."""

    def __init__(self, error):
        self.error = error

    def begin(self, cache, rows, lengths, attended):
        """Fail."""
        raise self.error


@pytest.mark.parametrize("error", [RuntimeError("no"), TypeError("no"), ImportError("no"), NotImplementedError("no")])
def test_what_does_not_compute_the_same_is_not_taken(error):
    """Nor what raises; the next one is."""
    good = GatheredSteps()
    arguments = config_of(4, 2), torch.float32, CPU
    assert proven_step_attention(*arguments, [Raising(error), Wrong(), good]) is good
    assert proven_step_attention(*arguments, [Wrong(), Raising(error)]) is None
    assert proven_step_attention(*arguments) is None, "flash is CUDA's"


def test_the_setting_math_takes_none():
    """Torch's flash kernel is not allowed then."""
    torch.backends.cuda.enable_flash_sdp(False)
    try:
        assert proven_step_attention(config_of(4, 2), torch.float32, CPU, [GatheredSteps()]) is None
    finally:
        torch.backends.cuda.enable_flash_sdp(True)


@pytest.mark.parametrize("order", [PLAIN, GUIDED], ids=["plain", "guided"])
def test_a_loop_draws_the_same_with_it(order):
    """Rows that come and go, cancelled and drawn anew, as recorded graphs."""
    family, per_stream = build("qwen3"), 2 if "guidance" in order else 1
    found = []
    for attention in (None, GatheredSteps()):
        loop = make_loop(family, order=order, backend=RecordingGraphs)
        loop.decoder.step_attention = attention
        found.append(serve(loop, range(5), cancel={2}, again={4}, per_stream=per_stream))
    assert found[0] == found[1]


@pytest.mark.parametrize(("heads", "kv_heads", "n"), [(4, 2, 7), (8, 1, 3), (6, 3, 1), (4, 4, 5), (14, 2, 9)])
def test_a_prompt_of_shared_keys_needs_no_kernel_that_knows_of_it(heads, kv_heads, n):
    """Heads that share keys as further queries: the same numbers, up to rounding."""
    noise = torch.Generator().manual_seed(heads)
    q, kv = torch.randn(2, n, heads, 8, generator=noise), torch.randn(2, 2, kv_heads, 12, 8, generator=noise)
    mask = torch.zeros(2, 1, n, 12).masked_fill(torch.rand(2, 1, n, 12, generator=noise) < 0.4, float("-inf"))
    mask[..., 0] = 0
    torch.testing.assert_close(attend_prompt_grouped(q, kv, mask), attend_prompt(q, kv, mask))


def test_copying_a_prefix_asks_the_device_nothing():
    """Whatever the number of rows: a capture takes it."""
    config = config_of(4, 2)
    source, target = (KVCache(config, rows, 32, dtype=torch.float32, device=CPU) for rows in (1, 4))
    source.used[0], source.slots[0] = 9, 9
    source.valid[0, :9] = True
    source.rotations[0, :9] = torch.arange(9)
    for rows in ([0], [1], [2, 3], [0, 1, 2, 3], [3]):
        RecordingGraphs().capture(lambda rows=rows: target.copy_prefix(source, 0, rows, 9), [])()
        assert target.positions[rows].tolist() == [9] * len(rows)
