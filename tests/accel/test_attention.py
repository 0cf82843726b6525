"""Kernels are tried, not guessed; the preference is in force inside and gone outside."""

import threading

import pytest

torch = pytest.importorskip("torch")

from realtts import AttentionUnavailable, SettingsError  # noqa: E402
from realtts.accel import attention  # noqa: E402

pytestmark = pytest.mark.usefixtures("unchanged")
CPU = ("cpu", torch.float32, 64)


def allowed():
    """Which of torch's kernels may be used now."""
    cuda = torch.backends.cuda
    return cuda.flash_sdp_enabled(), cuda.mem_efficient_sdp_enabled(), cuda.math_sdp_enabled()


def test_every_kernel_works_or_says_why_not():
    """The plain computation works everywhere; the package needs CUDA."""
    found = attention.kernels(*CPU)
    assert list(found) == ["flash", "efficient", "math", "flash_attention_2"]
    assert found["math"] is None
    assert "CUDA" in found["flash_attention_2"]
    assert all(reason is None or reason for reason in found.values())


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_what_is_said_to_work_works(dtype, masked):
    """Called with other shapes than the probe's."""
    for name, reason in attention.kernels("cpu", dtype, 32, masked=masked).items():
        if reason is None:
            query = torch.ones(2, 3, 5, 32, dtype=dtype)
            mask = torch.zeros(2, 1, 5, 5, dtype=dtype) if masked else None
            with attention.prefer(name, "cpu", dtype, 32, masked=masked):
                out = torch.nn.functional.scaled_dot_product_attention(query, query, query, attn_mask=mask)
            assert torch.allclose(out.float(), torch.ones(out.shape), atol=1e-2)


def test_kernels_are_tried_once(monkeypatch):
    """The second answer comes from memory, and is the caller's own."""
    first = attention.kernels("cpu", torch.float32, 48)
    first.clear()
    monkeypatch.setattr(torch.nn.functional, "scaled_dot_product_attention", lambda *_, **__: pytest.fail("again"))
    assert attention.kernels("cpu", torch.float32, 48)


def test_the_best_is_the_first_that_works(monkeypatch):
    """And the plain computation if nothing else does."""
    assert attention.kernels(*CPU)[attention.best(*CPU)] is None
    monkeypatch.setattr(attention, "_tried", lambda *_: {"flash": "no", "efficient": "no", "math": None})
    assert attention.best(*CPU) == "math"


@pytest.mark.parametrize(
    ("asked", "chosen"),
    [
        ("auto", "efficient"),
        ("flash", "efficient"),
        ("efficient", "efficient"),
        ("math", "math"),
        ("sdpa", "sdpa"),
        ("eager", "eager"),
        ("flash_attention_2", "efficient"),
    ],
)
def test_choice_follows_the_setting_where_it_can(monkeypatch, asked, chosen):
    """A kernel that does not work gives way to the best that does, and the reason is kept."""
    reasons = {"flash": "too old", "efficient": None, "math": None, "flash_attention_2": "not installed"}
    monkeypatch.setattr(attention, "_tried", lambda *_: reasons)
    choice = attention.choose(asked, *CPU)
    assert choice.as_dict() == {
        "asked": asked,
        "chosen": chosen,
        "unavailable": {"flash": "too old", "flash_attention_2": "not installed"},
    }


@pytest.mark.parametrize(
    ("asked", "details"),
    [
        ("auto", {"attention": "flash"}),
        ("sdpa", {"attention": "sdpa"}),
        ("math", {"attention": "math"}),
        ("efficient", {"attention": "flash", "no_attention": "efficient: too old"}),
        ("eager", {"attention": "math", "no_attention": "eager: the model calls torch's attention alone"}),
        ("flash_attention_2", {"attention": "flash", "no_attention": "flash_attention_2: the model calls torch's"}),
    ],
)
def test_a_model_that_calls_torch_alone_gets_one_of_its_kernels(monkeypatch, asked, details):
    """The status is told which by name, and why not another, even where the package flash_attn works."""
    reasons = {"flash": None, "efficient": "too old", "math": None, "flash_attention_2": None}
    monkeypatch.setattr(attention, "_tried", lambda *_: reasons)
    found = attention.choose(asked, *CPU, own=()).details()
    assert found.keys() == details.keys()
    assert all(found[key].startswith(value) for key, value in details.items())


def test_without_fallback_it_is_an_error_that_names_the_switch():
    """With the reason."""
    with pytest.raises(AttentionUnavailable, match=r"flash_attn needs a CUDA.*REALTTS_ATTENTION=sdpa"):
        attention.choose("flash_attention_2", *CPU, fallback=False)


def test_an_unknown_name_is_a_settings_error():
    """With the choices."""
    with pytest.raises(SettingsError, match="choose from auto"):
        attention.choose("fast", *CPU)


def test_math_allows_no_other_and_all_is_restored():
    """Also when the body fails."""
    before = allowed()
    with attention.prefer("math", *CPU) as choice:
        assert (choice.chosen, allowed()) == ("math", (False, False, True))
    with pytest.raises(ZeroDivisionError), attention.prefer("math", *CPU):
        _ = 1 / 0
    assert allowed() == before


@pytest.mark.parametrize("asked", ["sdpa", "eager"])
def test_some_choices_are_not_ours(asked):
    """Torch or the model chooses: nothing is set."""
    before = allowed()
    with attention.prefer(asked, *CPU) as choice:
        assert (choice.chosen, allowed()) == (asked, before)


def test_two_threads_do_not_mix_their_preferences():
    """The flags are of the process, so one waits for the other."""
    wrong = []

    def work(asked, expected):
        for _ in range(30):
            with attention.prefer(asked, *CPU):
                if allowed() != expected:
                    wrong.append(asked)

    threads = [
        threading.Thread(target=work, args=("math", (False, False, True))),
        threading.Thread(target=work, args=("flash", (True, True, True))),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_kernels_on_cuda():
    """In half precision at least one fused kernel works on every GPU that torch still supports."""
    found = attention.kernels("cuda", torch.float16, 64)
    assert found["efficient"] is None
    assert found["math"] is None
