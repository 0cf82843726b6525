"""Tiny random checkpoints of all models, and short ways to use them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

pytest.importorskip("torch")
pytest.importorskip("realtts_vieneu")
pytest.importorskip("transformers")
pytest.importorskip("sea_g2p")


from realtts.contract.spec import Checkpoint
from realtts_vieneu import loading, spec
from realtts_vieneu.upstream import load_upstream

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from realtts.contract.spec import ProviderSpec

MODELS = ("v2", "v1", "0.3b")

VIETNAMESE = (
    "Xin chào các bạn, rất vui được gặp lại.",
    "Hôm nay là ngày 21/11/2026, trời nắng đẹp.",
    "Giá cổ phiếu tăng từ 4.200,5 lên 4.350 điểm.",
    "Tôi đang học machine learning và deep learning.",
    "UBND TP.HCM vừa họp với Bộ GD&ĐT sáng nay.",
    "Chuyến bay VN123 cất cánh lúc 8h30 tại cổng 5.",
    "Anh ấy cao 1m75, nặng 68kg, sinh năm 1990.",
    "Bạn có thể gửi email cho mình được không?",
    "Năm 2025, GDP tăng 6,5% so với cùng kỳ.",
    "Trời ơi, sao mà nóng thế này!",
    "Số điện thoại của tôi là 0912 345 678.",
    "Covid-19 đã thay đổi cách chúng ta làm việc.",
    "iPhone 15 Pro có giá 28.990.000đ tại Việt Nam.",
    "Nhiệt độ hôm nay khoảng 25-30°C.",
    "Cuộc họp bắt đầu lúc 14:00, kết thúc lúc 15:30.",
    "Ông nói: “Rồi sao nữa? Mình phải làm gì?”, đúng không?",
    "Công ty ABC ký hợp đồng trị giá $5 triệu.",
    "Quãng đường dài 120 km, đi mất 2,5 giờ.",
    "Chương trình hello world viết bằng Python.",
    "Ngã ba, ngã tư, rồi rẽ trái ở đèn đỏ thứ hai.",
)
"""Twenty: numbers, dates, English words, abbreviations."""


@pytest.fixture(scope="session")
def imported() -> None:
    """Upstream's package."""
    load_upstream()


@pytest.fixture(autouse=True)
def _few_graphs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of two lengths: each takes as long as some sentences."""
    monkeypatch.setattr("realtts_vieneu.codec._LONGEST", 40)
    monkeypatch.setattr("realtts_vieneu.codec._WINDOW", 32)


@pytest.fixture(scope="session")
def plugin() -> ProviderSpec:
    """The plugin's own."""
    return spec


@pytest.fixture(scope="session")
def weights_of(folders: Callable[[str], Path]) -> Callable[[str], loading.Weights]:
    """The same checkpoints, opened."""
    opened: dict[str, loading.Weights] = {}

    def weights(model: str) -> loading.Weights:
        if model not in opened:
            opened[model] = loading.open_checkpoint(loading.fetch(Checkpoint(name=model, path=folders(model))))
        return opened[model]

    return weights


@pytest.fixture(scope="session")
def codec_folder(folders: Callable[[str], Path]) -> Path:
    """The codec of a checkpoint, in transformers' files."""
    return folders("v2") / "codec"


@pytest.fixture(scope="session")
def codec_parts(weights_of: Callable[[str], loading.Weights]) -> tuple[object, object]:
    """Configuration and tensors of the codec."""
    weights = weights_of("v2")
    return weights.codec.config, weights.codec_state


@pytest.fixture(scope="session")
def twenty_texts() -> tuple[str, ...]:
    """All of them, for a batch."""
    return VIETNAMESE


@pytest.fixture(params=VIETNAMESE)
def vietnamese(request: pytest.FixtureRequest) -> str:
    """Each of the twenty texts."""
    return str(request.param)
