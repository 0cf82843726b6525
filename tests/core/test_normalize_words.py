"""Ordinary words and names are no numbers, units or abbreviations; and numbers are read where nothing parts them."""

from __future__ import annotations

import re

import pytest

from realtts.text import EditedText

pytest.importorskip("babel", reason="of the extra realtts[normalize]")
pytest.importorskip("unicode_rbnf", reason="of the extra realtts[normalize]")

from realtts.text.normalize import normalized


def said(text: str, language: str) -> str:
    """The text in words."""
    return normalized(EditedText(text), language).text


STAY = {
    "en": (
        "The part I like is here.", "That is the book I read.", "The war I fought in.", "Part I think of.",
        "My CV is ready.", "The CLI and the CI pipeline.", "Use LX or CX.", "Start IV fluids now.", "An XL shirt.",
        "Louis C. Smith came.", "George V. Higgins wrote it.", "Paul L. Modrich won.", "Type C, Class L, Section CC.",
        "I met Jan. She smiled.", "The Sun. It rose.", "f*ck and sh*t", "Price* excludes tax.", "<b>bold</b> text",
        "He no longer knows.", "Art is long.", "Max and Min came.", "May we march?", "Malcolm X spoke.", "Vitamin C",
        "Mix, Di, Mi, Do, So.", "CD, DI, MD.",
    ),
    "de": (
        "Lehrer*innen und Kolleg*innen", "Schüler:innen", "Das ist Jan. Er lacht.", "So ist es.", "Mi amore",
        "Do Re Mi", "Der Mai ist da.", "Die Art gefällt mir.", "Max Müller kam.", "Ein Mo und ein Di.",
    ),
    "fr": (
        "Le chat dort.", "Ce soir.", "Vie privée, Mix, Di, Mi.", "La mer. Puis rien.", "Un art, un bar.",
        "Les mars et les mai.", "Dim sum.",
    ),
    "es": ("Le dije. Di algo. Mi casa. Me dio.", "Vitamina D. Luego nada.", "Sal y mar. Sol y luz.", "Un CD y un MIX."),
    "it": ("Le donne. Di più. Mi piace. Ci sono. Vi dico.", "I ragazzi. Il mare.", "Una CD."),
    "pt": ("Me diga. Di, Mi, Li. Mar e sol.", "Sem mais. Em mim."),
    "nl": ("'s Avonds. Ma en pa.", "Zo-zo is het.", "Een CD."),
    "pl": ("Wszystko ok. Potem nic.", "W domu. Z domu.", "Mi się podoba."),
    "ru": ("Он дал им. Потом ушёл.", "Я помог им.", "В Москве. С ним."),
    "tr": ("Bu mi? Ha!", "Av köpeği. Ay ve yıl."),
    "sv": ("Min bror. Men du.",),
    "vi": ("Tôi là Nam. Bạn là Mai.",),
}  # fmt: skip


@pytest.mark.parametrize(("language", "text"), [(language, text) for language, texts in STAY.items() for text in texts])
def test_words_and_names_stay(language, text) -> None:
    """However much their letters look like a number, a unit, a month or an abbreviation."""
    assert said(text, language) == text


@pytest.mark.parametrize(
    ("language", "text", "kept"),
    [
        ("fr", "En 2020 l'équipe a gagné.", " l'équipe a gagné."),
        ("fr", "Les 5 l'ont vu.", " l'ont vu."),
        ("fr", "Le 5 m'a dit.", " m'a dit."),
        ("fr", "En 2012 Mo Farah court.", " Mo Farah court."),
        ("it", "Nel 2020 l'Italia vinse.", " l'Italia vinse."),
        ("it", "Nel 2020 ha vinto.", " ha vinto."),
        ("it", "Nel 2020 mi sono trasferito.", " mi sono trasferito."),
        ("es", "En 2020 ha subido mucho.", " ha subido mucho."),
        ("es", "En 2020 mi padre murió.", " mi padre murió."),
        ("tr", "Saat 5 mi?", " mi?"),
        ("pl", "W 2020 mi powiedział.", " mi powiedział."),
        ("en", "In 2004 J. Smith won.", " J. Smith won."),
        ("en", "In 2020 A. Merkel left.", " A. Merkel left."),
        ("en", "You may 5 times try.", " times try."),
        ("en", "We march 10 miles.", " miles."),
        ("sv", "År 2020 min bror kom.", " min bror kom."),
    ],
)
def test_words_behind_a_number_are_no_units(language, text, kept) -> None:
    """What stands behind the number is what was written."""
    after = said(text, language)
    assert after.endswith(kept)
    assert not re.search(r"\d", after)


READ = {
    "en": {
        "Part I of the book": "Part one of the book",
        "World War I had ended.": "World War one had ended.",
        "Henry VIII's wives": "Henry the eighth's wives",
        "Super Bowl LVIII": "Super Bowl fifty-eight",
        "in Jan. 2020": "in January twenty twenty",
        "Acme Inc. The firm grew.": "Acme Incorporated. The firm grew.",
        "on Main St. The dog": "on Main Street. The dog",
        "at 5 p.m. Then we left.": "at five p m. Then we left.",
        "at 5:30 p.m. on Monday": "at five thirty p m on Monday",
        "by 5 p.m. in town": "by five p m in town",
        "He met Dr.\nSmith.": "He met Doctor\nSmith.",
        "in the 80s and her 30s": "in the eighties and her thirties",
        "500-1000 people": "five hundred to one thousand people",
        "6 Ft. tall": "six feet tall",
        "$5-10 each": "five to ten dollars each",
        "$.50": "fifty cents",
        "May 3-5, 2026": "May third to fifth, twenty twenty-six",
        "Python 3.11.10": "Python three dot eleven dot ten",
        "10.10.10.10": "ten dot ten dot ten dot ten",
        "a V8 engine": "a V eight engine",
        "1,2,3": "one, two, three",
        "per m² and km/h": "per square meter and kilometer per hour",
        "03/2026": "March twenty twenty-six",
        "Mon-Fri": "Monday to Friday",
        "5-7 pm": "five to seven p m",
        "#realtts": "hashtag realtts",
        "on 12/25": "on December twenty-fifth",
        "x^2": "x squared",
        "two 747s": "two seven hundred forty-sevens",
        "120/80": "one hundred twenty over eighty",
        "2020/21": "twenty twenty twenty-one",
        "Gate 5 A": "Gate five A",
        "Elizabeth I was": "Elizabeth the first was",
        "Est. 1990": "Established nineteen ninety",
    },
    "de": {
        "um 1 Uhr": "um ein Uhr",
        "1 Kind, 1 Frau": "ein Kind, eine Frau",
        "Seite 1 Absatz": "Seite eins Absatz",
        "jeden 2. Tag": "jeden zweiten Tag",
        "im XX. Jahrhundert": "im zwanzigsten Jahrhundert",
        "vom 5.-7. Mai": "vom fünften bis siebten Mai",
        "in der 1. Klasse": "in der ersten Klasse",
        "Das ist die 1. Ich nehme sie.": "Das ist die eins. Ich nehme sie.",
        "2-3 mal": "zwei bis dreimal",
        "Mein 1. Auto": "Mein erstes Auto",
        "11.11., zu": "elfter November, zu",
        "5.-7. Mai": "fünfter bis siebter Mai",
        "1,5 Stunden": "eins Komma fünf Stunden",
        "Mo.–Fr. geschlossen": "Montag bis Freitag geschlossen",
        "Fr. Müller": "Frau Müller",
        "Goethestr. 5": "Goethestraße fünf",
        "100%ige": "einhundertprozentige",
        "1 Mio. Euro": "eine Million Euro",
        "usw. Der Rest": "und so weiter. Der Rest",
        "z. B. Der": "zum Beispiel Der",
        "der 3. Oktober": "der dritte Oktober",
        "der 3.10.2024": "der dritte Oktober zweitausendvierundzwanzig",
        "5 € 50 ct, 1 Cent": "fünf Euro fünfzig Cent, ein Cent",
        "um 9 h, 5 h Arbeit": "um neun Uhr, fünf Stunden Arbeit",
        "in den 1980ern": "in den neunzehnhundertachtzigern",
        "Kap. IV, Art. V": "Kapitel vier, Artikel fünf",
        "2/3 und 1/8": "zwei Drittel und ein Achtel",
        "des 17. Juni": "des siebzehnten Juni",
        "diesen 5. Juni": "diesen fünften Juni",
        "jeder 1. Mai": "jeder erste Mai",
        "Montag, 3. Mai": "Montag, dritter Mai",
        "die Fa. Meier": "die Firma Meier",
    },
    "fr": {
        "52 av. J.-C.": "cinquante-deux avant Jésus-Christ.",
        "XVIIIème siècle": "dix-huitième siècle",
        "01.23.45.67.89": "zéro un, deux trois, quatre cinq, six sept, huit neuf",
        "Mme. Roux": "Madame Roux",
        "2/3 des gens": "deux tiers des gens",
        "rue St. Jean": "rue Saint Jean",
        "Mgr. Petit, bd. Foch": "Monseigneur Petit, boulevard Foch",
        "1 M€": "un million d'euros",
        "lun.-ven.": "lundi à vendredi.",
        "5 l d'eau": "cinq litres d'eau",
    },
    "es": {
        "91 123 45 67": "nueve uno, uno dos tres, cuatro cinco, seis siete",
        "3/4 de hora": "tres cuartos de hora",
        "cap. IV, págs. IX": "capítulo cuatro, páginas nueve",
        "1/3, 5/8, ¾": "un tercio, cinco octavos, tres cuartos",
        "14:00 horas": "catorce horas",
        "14:30 h": "catorce y treinta",
        "1° piso": "primer piso",
        "Isabel II": "Isabel segunda",
        "5 ha de tierra": "cinco hectáreas de tierra",
        "tel. 600 123 456": "teléfono seis cero cero, uno dos tres, cuatro cinco seis",
    },
    "it": {
        "Luigi XIV, sec. XIX": "Luigi quattordicesimo, secolo diciannovesimo",
        "alle 20.30": "alle venti e trenta",
        "alle ore 14:00": "alle ore quattordici",
        "1° posto": "primo posto",
        "Vittorio Emanuele II": "Vittorio Emanuele secondo",
        "500 a.C.": "cinquecento avanti Cristo.",
    },
    "pt": {
        "séc. XIX": "século dezenove",
        "14:00 horas": "catorze horas",
        "D. Pedro II": "dom Pedro segundo",
        "1 milhão": "um milhão",
    },
    "nl": {"20u30": "twintig uur dertig", "ma-vr": "maandag tot vrijdag"},
    "pl": {
        "o 14:30": "o czternastej trzydzieści",
        "5 zł 50 gr, 22 gr": "pięć złotych pięćdziesiąt groszy, dwadzieścia dwa grosze",
        "o godz. 9": "o godzinie dziewiątej",
        "od godz. 8 do godz. 16:30": "od godziny ósmej do godziny szesnastej trzydzieści",
        "2/3, 3/4, 5/6": "dwie trzecie, trzy czwarte, pięć szóstych",
        "5 maja 2020 r.": "piątego maja dwa tysiące dwudziestego roku.",
        "XX wiek": "dwudziesty wiek",
        "w XX wieku": "w dwudziestym wieku",
        "Jan Paweł II": "Jan Paweł drugi",
        "1 książka": "jedna książka",
        "2 mln zł": "dwa miliony złotych",
        "ok. 5": "około pięć",
        "3. miejsce": "trzecie miejsce",
    },
    "ru": {
        "5 руб. 50 коп., 21 коп.": "пять рублей пятьдесят копеек, двадцать одна копейка",
        "гл. IV": "глава четыре",
        "в 2020 г. было": "в две тысячи двадцатом году было",
        "31.12.2020 г.": "тридцать первое декабря две тысячи двадцатого года.",
        "10 г сахара": "десять грамм сахара",
        "5 см.": "пять сантиметров.",
        "театр им. Пушкина": "театр имени Пушкина",
        "1 млн": "один миллион",
        "2 тыс. человек": "две тысячи человек",
        "в XIX веке": "в девятнадцатом веке",
        "Петра I": "Петра первого",
        "Екатерина II": "Екатерина вторая",
        "5-ую": "пятую",
        "44 г. до н. э. было": "сорок четвертого года до нашей эры было",
        "в V в. было": "в пятом веке было",
        "5 млн руб.": "пять миллионов рублей",
        "90-е годы": "девяностые годы",
    },
    "zh": {
        "跑了5km后": "跑了五公里后",
        "增长了50%左右": "增长了百分之五十左右",
        "气温是-5℃左右": "气温是负五摄氏度左右",
        "100-200元": "一百到二百元",
        "电话13812345678": "电话一三八一二三四五六七八",
        "2019-2020年": "二〇一九到二〇二〇年",
        "#话题": "话题 话题",
        "5元/斤": "五元每斤",
        "第3-5章": "第三到五章",
        "下午3:30开会": "下午三点三十分开会",
    },
    "ja": {
        "体重は70kgです": "体重は七十キログラムです",
        "気温は-5℃です": "気温は摂氏マイナス五度です",
        "100~200円": "百から二百円",
        "50%の人": "五十パーセントの人",
    },
    "ko": {
        "3시에 만나요": "세 시에 만나요",
        "6개월": "육 개월",
        "6월 10월": "유월 시월",
        "50%를": "오십 퍼센트를",
        "3시 30분": "세 시 삼십 분",
        "2만 명": "이만 명",
        "5kg을": "오 킬로그램을",
        "5~10명": "다섯에서 열 명",
    },
    "tr": {"50 TL": "elli Türk lirası", "2. Dünya Savaşı": "ikinci Dünya Savaşı"},
    "sv": {"50 kr": "femtio kronor", "mån-fre": "måndag till fredag"},
    "da": {"50 kr.": "halvtreds kroner"},
    "vi": {"50.000đ": "năm mươi nghìn đồng", "14h30": "mười bốn giờ ba mươi phút", "lúc 9h": "lúc chín giờ"},
}


@pytest.mark.parametrize(
    ("language", "written", "words"), [(language, *pair) for language, pairs in READ.items() for pair in pairs.items()]
)
def test_numbers_are_read_as_they_are_meant(language, written, words) -> None:
    """Beside words without a space, in ranges, behind names, and with the full stop of their sentence."""
    assert said(written, language) == words
