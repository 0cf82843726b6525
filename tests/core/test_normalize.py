"""Text normalization: numbers, dates, amounts, units and signs become the words of the language."""

from __future__ import annotations

import random
import re

import pytest

from realtts.text import EditedText

pytest.importorskip("babel", reason="of the extra realtts[normalize]")
pytest.importorskip("unicode_rbnf", reason="of the extra realtts[normalize]")

from realtts.text.normalize import guess_language, is_known, normalized
from realtts.text.normalize.roman import value_of
from realtts.text.normalize.words import WORDS

ENGLISH = {
    # numbers
    "1,234 sheep": "one thousand two hundred thirty-four sheep",
    "10 000 men": "ten thousand men",
    "0.05": "zero point zero five",
    ".5": "point five",
    "-7": "minus seven",
    "\u22127": "minus seven",
    "agent 007": "agent zero zero seven",
    "B2B": "B two B",
    "COVID-19": "COVID-nineteen",
    "1,000.50": "one thousand point five zero",
    # ordinals and Roman numbers
    "the 22nd": "the twenty-second",
    "101st": "one hundred first",
    "May 3": "May third",
    "3 May": "third May",
    "Henry VIII": "Henry the eighth",
    "World War II": "World War two",
    "Chapter IV": "Chapter four",
    "the XIX century": "the nineteenth century",
    # dates and times
    "2026-11-21": "November twenty-first twenty twenty-six",
    "12/25/2024": "December twenty-fifth twenty twenty-four",
    "25/12/2024": "December twenty-fifth twenty twenty-four",
    "5.6.1999": "June fifth nineteen ninety-nine",
    "in 1984": "in nineteen eighty-four",
    "the 1990s": "the nineteen nineties",
    "at 3:05 pm": "at three oh five p m",
    "at 15:30": "at fifteen thirty",
    "7 a.m.": "seven a m",
    "1.1.2020-5.1.2020": "January first twenty twenty to January fifth twenty twenty",
    # amounts
    "$3.50": "three dollars and fifty cents",
    "$0.99": "ninety-nine cents",
    "€1,234.56": "one thousand two hundred thirty-four euros and fifty-six cents",
    "£1": "one pound",
    "5 €": "five euros",
    "100 EUR": "one hundred euros",
    "$1.5M": "one point five million dollars",
    "$2 billion": "two billion dollars",
    "-$5": "minus five dollars",
    "₿2": "two bitcoins",
    "US$20": "twenty US dollars",
    "$5/kg": "five dollars per kilogram",
    # units and percent
    "1 km": "one kilometer",
    "5km": "five kilometers",
    "-5°C": "minus five degrees Celsius",
    "60 km/h": "sixty kilometers per hour",
    "20 m²": "twenty square meters",
    "9.8 m/s²": "nine point eight meters per second squared",
    "50%": "fifty percent",
    "5‰": "five permille",
    "16GB": "sixteen gigabytes",
    "5' 6\"": "five feet six inches",
    "5-10 km": "five to ten kilometers",
    # fractions, powers, ratios, ranges
    "½ cup": "one half cup",
    "2½": "two and a half",
    "3/4": "three quarters",
    "2/3": "two thirds",
    "10^6": "ten to the power of six",
    "x²": "x squared",
    "1.5e-3": "one point five times ten to the power of minus three",
    "2:1": "two to one",
    "1990-2000": "nineteen ninety to two thousand",
    "3–4 people": "three to four people",
    "24/7": "twenty-four seven",
    "8 - 3 = 5": "eight minus three equals five",
    "9am-5pm": "nine a m to five p m",
    # signs and abbreviations
    "5+3=8": "five plus three equals eight",
    "7 × 8": "seven times eight",
    "A & B": "A and B",
    "#5": "number five",
    "№ 7": "number seven",
    "§ 3": "section three",
    "±2": "plus or minus two",
    "Dr. Smith": "Doctor Smith",
    "St. Mary": "Saint Mary",
    "Main St.": "Main Street.",
    "No. 5": "number five",
    "cats vs. dogs": "cats versus dogs",
    "and so on, etc.": "and so on, et cetera.",
    "closed Tue. and Thurs.": "closed Tuesday and Thursday.",
    "Sun. 5 May, the Sun.": "Sunday fifth May, the Sun.",
    "from Apr. 3 to Jul. 9": "from April third to July ninth",
    "the dept. in bldg. 4, apt. 12": "the department in building four, apartment twelve",
    "Maj. Reed of the govt.": "Major Reed of the government.",
    "5 min. later": "five minutes later",
    "It took 5 min. Then": "It took five minutes. Then",
    "10 oz. of gold, 12 in. wide": "ten ounces of gold, twelve inches wide",
    "4 hrs. a day for 20 yrs.": "four hours a day for twenty years.",
    # addresses, telephones, versions
    "https://example.com/a-b": "example dot com slash a dash b",
    "me@example.org": "me at example dot org",
    "555-1234": "five five five, one two three four",
    "+1 212 555 0199": "plus one, two one two, five five five, zero one nine nine",
    "v1.2.3": "version one dot two dot three",
    "978-3-16-148410-0": "nine seven eight, three, one six, one four eight four one zero, zero",
    "1234 5678 9012 3456": "one two three four, five six seven eight, nine zero one two, three four five six",
    "192.168.1.1": "one hundred ninety-two dot one hundred sixty-eight dot one dot one",
}
GERMAN = {
    "1.234,5": "eintausendzweihundertvierunddreißig Komma fünf",
    "1.000.000 Menschen": "eine Million Menschen",
    "3,50 €": "drei Euro fünfzig",
    "1 €": "ein Euro",
    "5 Mrd. €": "fünf Milliarden Euro",
    "am 21.11.2026": "am einundzwanzigsten November zweitausendsechsundzwanzig",
    "am 21.11.": "am einundzwanzigsten November",
    "3. Oktober 1990": "dritter Oktober neunzehnhundertneunzig",
    "14:30 Uhr": "vierzehn Uhr dreißig",
    "der 2. Platz": "der zweite Platz",
    "-5 °C": "minus fünf Grad Celsius",
    "z. B. Dr. Müller": "zum Beispiel Doktor Müller",
    "Ludwig XIV": "Ludwig der vierzehnte",
    "10–15 km": "zehn bis fünfzehn Kilometer",
    "1 h": "eine Stunde",
    "3/4": "drei Viertel", "3/7": "drei durch sieben",
    "info@beispiel.de": "info ät beispiel Punkt de",
    "0171 1234567": "null eins sieben eins, eins zwei drei vier fünf sechs sieben",
}  # fmt: skip
ROMANCE = {
    ("fr", "1 234,56 €"): "mille deux cent trente-quatre euros et cinquante-six centimes",
    ("fr", "le 1er mai 2026"): "le premier mai deux mille vingt-six",
    ("fr", "14h30"): "quatorze heures trente",
    ("fr", "Louis XIV"): "Louis quatorze",
    ("fr", "XXe siècle"): "vingtième siècle",
    ("fr", "1 heure, 21 kg"): "une heure, vingt-et-un kilogrammes",
    ("fr", "le 21/11"): "le vingt-et-un novembre",
    ("fr", "M. Dupont"): "Monsieur Dupont",
    ("es", "siglo XXI"): "siglo veintiuno",
    ("es", "Felipe VI"): "Felipe sexto",
    ("es", "21/11/2026"): "veintiuno de noviembre de dos mil veintiséis",
    ("es", "200 £"): "doscientas libras esterlinas",
    ("es", "1.º"): "primero",
    ("es", "2.ª"): "segunda",
    ("es", "14:30"): "catorce y treinta",
    ("es", "50 %"): "cincuenta por ciento",
    ("it", "5 kg"): "cinque chilogrammi",
    ("it", "1.234,5"): "milleduecentotrentaquattro virgola cinque",
    ("it", "Sig. Rossi"): "signor Rossi",
    ("it", "3,20 €"): "tre euro e venti centesimi",
    ("pt", "R$ 5,00"): "cinco reais",
    ("pt", "2 horas, 21/11/2026"): "duas horas, vinte e um de novembro de dois mil e vinte e seis",
    ("pt", "1.º"): "primeiro",
    ("pt", "-3 °C"): "menos três graus Celsius",
}
ASIAN = {
    ("ja", "3,500円"): "三千五百円",
    ("ja", "2026年11月21日"): "二千二十六年十一月二十一日",
    ("ja", "14:30"): "十四時三十分",
    ("ja", "-5℃"): "摂氏マイナス五度",
    ("ja", "第3回"): "第三回",
    ("ja", "½"): "二分の一",
    ("ja", "3/4"): "四分の三",
    ("ja", "3.14"): "三点一四",
    ("zh", "50%"): "百分之五十",
    ("zh", "2024年"): "二〇二四年",
    ("zh", "3.14"): "三点一四",
    ("zh", "¥500"): "五百元",
    ("zh", "138 1234 5678"): "一三八、一二三四、五六七八",
    ("zh", "3/4"): "四分之三",
    ("zh", "第3次"): "第三次",
    ("zh", "-5℃"): "负五摄氏度",
    ("ko", "5 kg"): "오 킬로그램",
    ("ko", "3시간 30분"): "세 시간 삼십 분",
    ("ko", "3:30"): "세시 삼십분",
    ("ko", "2026-06-01"): "이천이십육 년 유월 일 일",
    ("ko", "50%"): "오십 퍼센트",
    ("ko", "2:1"): "이 대 일",
    ("ko", "1.5"): "일 점 오",
    ("ko", "$5"): "오 달러",
}
OTHERS = {
    ("ru", "21 км"): "двадцать один километр",
    ("ru", "5 км"): "пять километров",
    ("ru", "3 марта 2026 года"): "третьего марта две тысячи двадцать шестого года",
    ("ru", "3,50 ₽"): "три рубля пятьдесят",
    ("ru", "2-я"): "вторая",
    ("ru", "т. е. да"): "то есть да",
    ("ru", "г. Москва"): "город Москва",
    ("ru", "14:30"): "четырнадцать часов тридцать минут",
    ("pl", "5 kg"): "pięć kilogramów",
    ("pl", "2 km"): "dwa kilometry",
    ("pl", "np. 5"): "na przykład pięć",
    ("nl", "1e"): "eerste",
    ("nl", "14.30 uur"): "veertien uur dertig",
    ("sv", "3 oktober"): "tredje oktober",
    ("da", "50 %"): "halvtreds procent",
    ("no", "3. mai"): "tredje mai",
    ("fi", "5 kg"): "viisi kilogrammaa",
    ("tr", "%50"): "yüzde elli",
    ("tr", "2. kat"): "ikinci kat",
    ("el", "5 kg"): "πέντε χιλιόγραμμα",
    ("ar", "5 kg"): "خمسة كيلوغرام",
    ("he", "50%"): "חמישים אחוז",
    ("hi", "12,34,567"): "बारह लाख चौंतीस हज़ार पाँच सौ सड़सठ",
    ("ms", "5 kg"): "lima kilogram",
    ("sw", "5 kg"): "kilogramu tano",
    ("vi", "5 kg"): "năm kilôgam",
}


def said(text: str, language: str) -> str:
    """The text in words."""
    return normalized(EditedText(text), language).text


@pytest.mark.parametrize(
    ("language", "written", "words"),
    [
        *(("en", *pair) for pair in ENGLISH.items()),
        *(("de", *pair) for pair in GERMAN.items()),
        *((*key, words) for table in (ROMANCE, ASIAN, OTHERS) for key, words in table.items()),
    ],
)
def test_what_stands_for_words_is_put_into_words(language, written, words) -> None:
    """Alone, and where it ends the text."""
    assert said(written, language) == words


@pytest.mark.parametrize("language", sorted(WORDS))
def test_plain_sentences_stay(language) -> None:
    """No letter of a text without numbers and signs changes."""
    for text in (
        "Hello there, how are you?",
        "Она сказала: «да».",
        "你好，世界。",
        "Xin chào các bạn!",
        "Ça va, l'ami ?",
    ):
        assert said(text, language) == text


COUNTED = {
    "es": {
        "21 perros": "veintiún perros",
        "31 casas": "treinta y una casas",
        "1 vez": "una vez",
        "101 días": "ciento un días",
        "Son 21 y 31.": "Son veintiuno y treinta y uno.",
        "el 3.º piso": "el tercer piso",
        "1° de mayo": "primero de mayo",
        "2x al día": "dos veces al día",
        "21 km": "veintiún kilómetros",
    },
    "pt": {
        "2 casas": "duas casas",
        "2 gatos": "dois gatos",
        "12 casas": "doze casas",
        "2 problemas": "dois problemas",
        "R$ 1.500": "mil e quinhentos reais",
        "22 pessoas": "vinte e duas pessoas",
    },
    "fr": {
        "21 fois": "vingt-et-une fois",
        "1 chat": "un chat",
        "31 personnes": "trente-et-une personnes",
        "21 janvier": "vingt-et-un janvier",
        "3 M€": "trois millions d'euros",
        "1 et 2": "un et deux",
    },
    "it": {
        "1 casa": "una casa",
        "1 gatto": "un gatto",
        "1° maggio": "primo maggio",
        "20° all'ombra": "venti gradi all'ombra",
    },
    "ru": {
        "2 кошки": "две кошки",
        "2 кота": "два кота",
        "1 окно": "одно окно",
        "22 книги": "двадцать две книги",
        "1 мая": "первого мая",
        "12 книги": "двенадцать книги",
    },
    "zh": {
        "2只猫": "两只猫",
        "第2个": "第二个",
        "12个": "十二个",
        "2月2日": "二月二日",
        "2年级": "二年级",
    },
    "de": {
        "90er Jahre": "neunziger Jahre",
        "2x täglich": "zweimal täglich",
        "1x": "einmal",
        "5,- €": "fünf Euro",
        "Karl V. und": "Karl der fünfte und",
        "3-mal": "dreimal",
    },
    "nl": {
        "€ 1.500,- en": "duizendvijfhonderd euro en",
    },
    "pl": {
        "3 zł": "trzy złote",
    },
    "en": {
        "call 911 now": "call nine one one now",
        "ZIP 90210": "ZIP nine zero two one zero",
        "a 10/10": "a ten out of ten",
        "on 9/11": "on nine eleven",
        "50/50": "fifty fifty",
        "3/10": "three tenths",
        "a <= 2": "a at most two",
        "2 != 3": "two not equal to three",
        "C++ code": "C plus plus code",
        "5x faster": "five times faster",
        "2x4": "two by four",
    },
}


@pytest.mark.parametrize(
    ("language", "written", "words"),
    [(language, *pair) for language, pairs in COUNTED.items() for pair in pairs.items()],
)
def test_numbers_agree_with_what_they_count(language, written, words) -> None:
    """Gender, short forms before nouns, times, and numbers that are said otherwise than they count."""
    assert said(written, language) == words


def written(draw: random.Random) -> str:
    """Anything with digits that people write, and much that nobody does."""
    number = "".join(draw.choice("0123456789") for _ in range(draw.randint(1, 9)))
    grouped = draw.choice(("1,234.5", "1.234,5", "1 234", "1'234", "12.34.56", "1,2,3", "٣٤", "１２", number))
    before = draw.choice(("", "$", "€ ", "-", "−", "+", "(", "№", "#", "~", "v", "A", "=", "½", "x", "²", "."))
    behind = draw.choice(
        ("", "%", "‰", " kg", "km/h", "°C", " €", "$", ")", "th", "e", ".", "³", "/2", ":30", "-5", "x2", "³/₄",
         "h", "h30", "'", '"', "a", "年", " Uhr", "/kg", "e5", "^3", "-й", "º", "₂", " 000")
    )  # fmt: skip
    return f"{before}{grouped}{behind}"


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("fr", "Le chat dort. Ce soir, De Gaulle. Me voici. Vie et mort."),
        ("it", "Ce n'è. Le donne. Ve lo dico. Di più. Ci sono."),
        ("es", "Le dije. Me dio. Vi luz. Di algo."),
        ("pt", "Me diga. Vi luz. Li livros."),
        ("en", "Le Mans. Ce que. I am. Mix it. Dim light. Civic duty."),
        ("de", "Die Liv. Mix das. Di Caprio."),
        ("ro", "Le spun. Ce faci. Vi se pare."),
    ],
)
def test_words_of_the_letters_of_roman_numbers_stay(language, text) -> None:
    """Words of a sentence's beginning that could be read as fifty, hundred, six."""
    assert said(text, language) == text


@pytest.mark.parametrize("language", sorted(WORDS))
def test_no_digit_is_left(language) -> None:
    """Whatever stands beside it; and every character comes from a place in the text."""
    draw = random.Random(language)
    for _ in range(60):
        text = " ".join(written(draw) for _ in range(3))
        after = normalized(EditedText(text), language)
        assert not re.search(r"\d", after.text), text
        for at in range(0, len(after.text), 7):
            start, end = after.to_original((at, at + 1))
            assert 0 <= start <= end <= len(text)


@pytest.mark.parametrize(
    ("text", "word", "source"),
    [
        ("He paid $3.50 today.", "dollars", "$3.50"),
        ("He paid $3.50 today.", "today", "today"),
        ("At -5°C it freezes.", "Celsius", "-5°C"),
        ("Call 555-1234 now.", "four", "555-1234"),
        ("See § 12 there.", "section", "§ "),
        ("On 12/25/2024 we met.", "December", "12/25/2024"),
        ("A & B", "and", " & "),
        ("Dr. Who", "Doctor", "Dr."),
    ],
)
def test_words_come_from_what_was_written(text, word, source) -> None:
    """So that marks and captions point into the caller's text."""
    after = normalized(EditedText(text), "en")
    at = after.text.index(word)
    start, end = after.to_original((at, at + len(word)))
    assert text[start:end] == source


@pytest.mark.parametrize(
    ("tag", "date"),
    [
        ("en", "March fourth"), ("en-US", "March fourth"), ("en-GB", "April third"), ("en-au", "April third"),
        ("en_IN", "April third"), ("EN-us", "March fourth"), ("en-ph", "March fourth"), ("en-IE", "April third"),
    ],
)  # fmt: skip
def test_regions_order_dates(tag, date) -> None:
    """Month before day in the United States, and where nothing is known."""
    assert said("03/04/2026", tag).startswith(date)


def test_languages() -> None:
    """Known by tag; guessed by script."""
    assert all(is_known(tag) for tag in ("en", "pt-br", "zh-cn", "nb", "DE"))
    assert not is_known("xx")
    guesses = {
        "Hi 5": "en",
        "5 км": "ru",
        "5円です": "ja",
        "5元": "zh",
        "5월": "ko",
        "5 كم": "ar",
        "5 ק״ג": "he",
        "5 किलो": "hi",
    }
    assert {text: guess_language(text) for text in guesses} == guesses
    assert said("5 apples", "xx") == "5 apples"


def test_roman_values() -> None:
    """By the usual rules."""
    values = {"I": 1, "IV": 4, "IX": 9, "XIV": 14, "XL": 40, "XC": 90, "CD": 400, "MCMXCIV": 1994, "MMXXVI": 2026}
    assert {roman: value_of(roman) for roman in values} == values


@pytest.mark.parametrize("text", ["1" * 5000, "1," * 3000, "1 " * 3000, "$" * 10_000, "a@" * 5000, "a.b-" * 3000])
def test_nothing_takes_long(text) -> None:
    """Work grows with the length, not with its square, or this would not end."""
    assert not re.search(r"\d", said(text, "en"))
