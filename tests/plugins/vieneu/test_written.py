"""Numbers, units and signs of Vietnamese texts: said as they are meant, or told; nothing is lost without a word."""

from __future__ import annotations

import pytest

from realtts_vieneu.losses import left_out_of, unread, unread_in
from realtts_vieneu.text import normalised, sentences_of
from realtts_vieneu.written import rewritten

MINUS = {
    "Nhiệt độ −12°C": "âm mười hai độ xê",
    "(−7)": "âm bảy",
    "từ −5 đến 5": "từ âm năm đến năm",
    "–3 độ": "âm ba độ",
    "-4,5%": "âm bốn phẩy năm phần trăm",
    "9 − 4": "chín trừ bốn",
    "x−y": "ích trừ y",
    "−$20": "âm hai mươi",
    "-€5": "âm năm euro",
    "y = −2": "bằng âm hai",
    "nhóm máu O−": "ô âm",
    "5‒10 người": "năm đến mười người",
}
CURRENCIES = {
    "Giá 250 ₫": "hai trăm năm mươi đồng",
    "₫500": "năm trăm đồng",
    "₿3": "ba bitcoin",
    "0,5 ₿": "không phẩy năm bitcoin",
    "₹200": "hai trăm rupi",
    "70 ₽": "bảy mươi rúp",
    "₺15": "mười lăm lira",
    "₪8": "tám sê ken",
    "50¢": "năm mươi xu",
    "US$30": "ba mươi đô la mỹ",
    "HK$9": "chín đô la hồng kông",
    "R$7": "bảy real",
}
PRICES = {
    "50.000đ/kg": "năm mươi nghìn đồng trên ki lô gam",
    "80.000₫/kg": "tám mươi nghìn đồng trên ki lô gam",
    "120đ/cái": "một trăm hai mươi đồng trên cái",
    "15.000 đ/m²": "mười lăm nghìn đồng trên mét vuông",
    "5$/kg": "năm đô la trên ki lô gam",
    "7 €/người": "bảy ê rô trên người",
    "30 ₹/kg": "ba mươi rupi trên ki lô gam",
    "3 euro/lít": "ba ê rô trên lít",
    "£9/ngày": "chín pound trên ngày",
}
NUMBERS = {
    "1.1200": "một chấm một hai không không",
    "3.1415": "ba chấm một bốn một năm",
    "10.5020": "mười chấm năm không hai không",
    "tháng 6.2026": "tháng sáu năm hai nghìn không trăm hai mươi sáu",
    "7.2024": "tháng bảy năm hai nghìn không trăm hai mươi bốn",
    "2'500": "hai nghìn năm trăm",
    "3 500,75": "ba nghìn năm trăm phẩy bảy lăm",
    "12_000": "mười hai nghìn",
    "１２３": "một trăm hai mươi ba",
    "④": "bốn",
    "7⁄8": "bảy trên tám",
    "4*6": "bốn nhân sáu",
    "10⁻³": "mười mũ trừ ba",
    "thế kỷ XXI": "thế kỷ hai mươi mốt",
}
RANGES = {
    "10%–15%": "mười phần trăm đến mười lăm phần trăm",
    "20°C-25°C": "hai mươi độ xê đến hai mươi lăm độ xê",
    "3 kg – 5 kg": "ba ki lô gam đến năm ki lô gam",
    "50k-100k": "năm mươi ca đến một trăm ca",
    "8h-10h": "tám giờ đến mười giờ",
    "17:00-18:30": "mười bảy giờ không phút đến mười tám giờ ba mươi phút",
    "30/4 - 1/5": "ngày ba mươi tháng tư đến ngày một tháng năm",
    "21–25/11/2026": "hai mươi mốt đến ngày hai mươi lăm tháng mười một",
    "20~30 người": "hai mươi đến ba mươi người",
}
TIMES = {
    "24:00": "hai mươi bốn giờ không phút",
    "lúc 24:00 hôm nay": "hai mươi bốn giờ không phút hôm nay",
    "07:05": "bảy giờ",
    "23h59": "hai mươi ba giờ năm mươi chín phút",
    "2026/11/21": "ngày hai mươi mốt tháng mười một năm hai nghìn không trăm hai mươi sáu",
    "những năm 1980s": "những năm một nghìn chín trăm tám mươi",
    "0912 345 678": "không chín một hai",
    "5′30″": "năm phút ba mươi giây",
    "chạy 45'": "bốn mươi lăm phút",
}
UNITS = {
    "5‰": "năm phần nghìn",
    "3‱": "ba phần mười nghìn",
    "1013 hPa": "mười ba héc tô pát can",
    "5 J": "năm jun",
    "3 mW": "ba mi li oát",
    "2 L": "hai lít",
    "10 μg": "mười mic rô gam",
    "1080p": "tám mươi pê",
    "6 m³/s": "sáu mét khối trên giây",
    "12㎏": "mười hai ki lô gam",
    "màn hình 27\"": "hai mươi bảy inch",
}  # fmt: skip
SIGNS = {
    "§ 12": "mục mười hai",
    "№ 8": "số tám",
    "A ≪ B": "nhỏ hơn rất nhiều",
    "R&D": "and",
    "5±1": "năm cộng trừ một",
    "≈ 3": "xấp xỉ ba",
    "3 ∙ 4": "ba nhân bốn",
    "±0,5‰": "cộng trừ không phẩy năm phần nghìn",
}


def said(text: str) -> str:
    """What is spoken."""
    return " ".join(sentence.text for sentence in sentences_of(text, 256))


@pytest.mark.parametrize(
    ("written", "words"),
    [pair for kind in (MINUS, CURRENCIES, PRICES, NUMBERS, RANGES, TIMES, UNITS, SIGNS) for pair in kind.items()],
)
def test_signs_and_numbers_are_said(written, words) -> None:
    """As they are meant, and without a warning."""
    for text in (written, f"Câu này có {written} ở giữa."):
        assert words in said(text)
        assert unread(text) == ()


@pytest.mark.parametrize(
    "text",
    [
        "Xin chào các bạn, hôm nay trời đẹp quá!",
        "Ngày 21/11/2026 lúc 8:30, giá $5 và 100 €.",
        "Anh ấy cao 1,75 m và nặng 60kg.",
        "Tăng 10% so với 2020-2025, đạt 1.234.567,89 đồng.",
        "Gọi 0912345678 hoặc gửi a.b@gmail.com.",
        "UBND TP.HCM, Q.1 – P.5",
        "Nước H₂O, 10⁶, x² + y² = 3.",
        "Tôi học machine learning ở R&D.",
    ],
)
def test_what_the_normaliser_reads_rightly_stays(text) -> None:
    """So that the phonemes are upstream's."""
    assert normalised(rewritten(text)) == normalised(text)


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("**đậm** và *nghiêng*", "đậm và nghiêng."),
        ("# Tiêu đề", "tiêu đề."),
        ("* Một", "một."),
        ("• Hai", "hai."),
        ("~~bỏ~~ đi", "bỏ đi."),
        ("'xin chào' nhé", "xin chào nhé."),
        ('Bài "số 10" hay', "bài số mười hay."),
        ("Bài “số 10” hay", "bài số mười hay."),
    ],
)
def test_decoration_is_silent(written, words) -> None:
    """Stars, number signs and quotes are not read aloud."""
    assert said(written) == words


@pytest.mark.parametrize(
    "text",
    [". tôi ngủ", "... Xin chào", ",. lỗi", "? hả", "! đi", "; rồi", "… à", "- vâng", ": đây", "Chào. ... Xin chào"],
)
def test_the_prompt_begins_with_a_sound(text) -> None:
    """Leading punctuation would be spoken by a model that never read such a text."""
    for sentence in sentences_of(text, 256):
        assert sentence.text[0].isalpha()
        assert sentence.phonemes.lstrip("ˈˌ")[0].isalpha()


@pytest.mark.parametrize(
    ("text", "lost"),
    [
        ("Xin chào ♥ bạn", "♥"),
        ("† ghi chú", "†"),
        ("元5", "元"),
        ("¤5 là tiền", "¤"),
        ("✓ xong", "✓"),
        ("Привет bạn", "Привет"),
        ("😀 chào", "😀"),
        ("số ٣ này", "٣"),
    ],
)
def test_what_is_lost_is_told(text, lost) -> None:
    """By name, in the warning."""
    assert set(lost) == set(unread(text)) == set(left_out_of(text).split())
    assert {text[slice(*each.span)] for each in unread_in(text)} == set(lost)
    assert not set(lost) & set(said(text))


def test_what_is_read_in_its_place_is_not_told() -> None:
    """Though alone it has no sound."""
    for text in ("10 µg", "5 µm", "3 Ω", "20 m²", "37°C", "½ ly", "2 × 3", "50% thôi"):
        assert unread(text) == ()
