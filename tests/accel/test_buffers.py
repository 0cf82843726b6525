"""Tensors are lent, given back and lent again; misuse is told."""

import gc
import threading

import pytest

torch = pytest.importorskip("torch")

from realtts import BufferMisuse  # noqa: E402
from realtts.accel.optimizer.buffers import BufferPool  # noqa: E402

pytestmark = pytest.mark.usefixtures("unchanged")


def test_what_was_given_back_is_lent_again():
    """For any shape of the same size class, type and device."""
    pool = BufferPool()
    first = pool.get((10, 100))
    place = first.data_ptr()
    pool.give_back(first)
    again = pool.get((1001,))
    assert again.data_ptr() == place
    assert (again.shape, again.dtype, again.is_contiguous()) == ((1001,), torch.float32, True)
    stats = pool.stats()
    assert (stats["hits"], stats["misses"], stats["lent"], stats["idle"]) == (1, 1, 1, 0)


@pytest.mark.parametrize("shape", [(), (0,), (3, 0, 2), (1,), (7, 5, 3)], ids=str)
@pytest.mark.parametrize("dtype", [torch.float16, torch.int64, torch.bool, torch.complex64], ids=str)
def test_any_shape_and_type(shape, dtype):
    """Also a scalar and an empty one."""
    pool = BufferPool()
    with pool.borrow(shape, dtype) as tensor:
        assert (tensor.shape, tensor.dtype) == (shape, dtype)
        tensor.zero_()
    assert pool.stats()["lent"] == 0


def test_types_are_not_mixed():
    """A buffer of another type is another buffer."""
    pool = BufferPool()
    pool.give_back(pool.get((1000,), torch.float32))
    pool.get((1000,), torch.int32)
    assert pool.stats()["hits"] == 0


def test_lent_tensors_do_not_overlap():
    """Two at the same time have two places."""
    pool = BufferPool()
    first, second = pool.get((100,)).fill_(1), pool.get((100,)).fill_(2)
    assert first.sum() == 100
    assert second.sum() == 200


def test_returning_twice_is_an_error_that_names_the_switch():
    """The pool would lend it to two borrowers."""
    pool = BufferPool()
    tensor = pool.get((4,))
    pool.give_back(tensor)
    with pytest.raises(BufferMisuse, match=r"returned before.*REALTTS_BUFFER_POOL=false"):
        pool.give_back(tensor)


@pytest.mark.parametrize("kind", ["foreign", "view", "other pool"])
def test_what_it_did_not_lend_is_refused(kind):
    """Also a view of what it lent."""
    pool = BufferPool()
    lent = pool.get((4,))
    tensor = {"foreign": torch.ones(4), "view": lent[:2], "other pool": BufferPool().get((4,))}[kind]
    with pytest.raises(BufferMisuse, match="not lent by this pool"):
        pool.give_back(tensor)


def test_idle_bytes_are_bounded():
    """The ones idle for longest go first; one larger than the bound is not kept."""
    pool = BufferPool(max_bytes=8192)
    tensors = [pool.get((1024,)) for _ in range(3)]  # 4096 bytes each
    for tensor in tensors:
        pool.give_back(tensor)
    assert (pool.stats()["idle"], pool.stats()["bytes"], pool.stats()["evictions"]) == (2, 8192, 1)
    pool.give_back(pool.get((100_000,)))
    assert pool.stats()["bytes"] == 8192
    assert pool.get((1024,)).data_ptr() == tensors[2].data_ptr()


def test_a_dropped_tensor_is_forgotten():
    """Nothing grows if borrowers do not return."""
    pool = BufferPool()
    for _ in range(100):
        pool.get((1024,))
    gc.collect()
    assert (pool.stats()["lent"], pool.stats()["bytes"]) == (0, 0)


def test_borrow_returns_after_an_error():
    """As a with statement should."""
    pool = BufferPool()
    with pytest.raises(ZeroDivisionError), pool.borrow((4,)):
        _ = 1 / 0
    assert (pool.stats()["lent"], pool.stats()["idle"]) == (0, 1)


def test_clear_frees_the_idle_ones():
    """What is lent may come back after it."""
    pool = BufferPool()
    lent = pool.get((1024,))
    pool.give_back(pool.get((1024,)))
    pool.clear()
    assert (pool.stats()["idle"], pool.stats()["bytes"]) == (0, 0)
    pool.give_back(lent)
    assert pool.stats()["idle"] == 1


def test_switched_off_it_keeps_nothing():
    """And still notices a tensor that is returned twice."""
    pool = BufferPool(enabled=False)
    tensor = pool.get((1024,))
    pool.give_back(tensor)
    assert pool.stats()["idle"] == 0
    with pytest.raises(BufferMisuse):
        pool.give_back(tensor)


def test_buffers_from_inference_mode_work_outside_of_it():
    """A block outlives the mode it was first lent in."""
    pool = BufferPool()
    with torch.inference_mode():
        tensor = pool.get((4,))
    assert not tensor.is_inference()
    tensor.fill_(1.0)


def test_many_threads():
    """Each has its own tensor while it is lent."""
    pool, wrong = BufferPool(), []

    def work(number):
        for _ in range(200):
            with pool.borrow((64,)) as tensor:
                tensor.fill_(number)
                if not bool((tensor == number).all()):
                    wrong.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    stats = pool.stats()
    assert stats["hits"] + stats["misses"] == 1200
    assert stats["lent"] == 0


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_streams_do_not_share_blocks():
    """A block goes back to the stream it was lent to."""
    pool = BufferPool(pinned=True)
    tensor = pool.get((1024,), torch.float16, "cuda")
    pool.give_back(tensor)
    with torch.cuda.stream(torch.cuda.Stream()):
        assert pool.get((1024,), torch.float16, "cuda").data_ptr() != tensor.data_ptr()
    assert pool.get((1024,), torch.float16, "cuda").data_ptr() == tensor.data_ptr()
    assert pool.get((1024,)).is_pinned()
