"""Writes the core's tables of languages and regions from CLDR, as Babel has it: pip install babel.

python benchmarks/languages_table.py
"""

from __future__ import annotations

import json
from pathlib import Path

from babel import Locale, UnknownLocaleError
from babel.core import get_global
from babel.localedata import locale_identifiers

FOLDER = Path(__file__).parents[1] / "core/src/realtts/kit/data"
HEAD = "# Names from CLDR (Unicode License v3), written by benchmarks/languages_table.py"
ENGLISH = Locale("en")
MORE_NAMES = {
    "ar": "Standard Arabic", "es": "Castilian; Castellano", "fa": "Farsi", "fil": "Pilipino", "de": "Hochdeutsch",
    "cmn": "Mandarin Chinese; Mandarin; Putonghua; 普通话; 普通話; 国语; 國語; 汉语; 漢語", "el": "Modern Greek",
    "gd": "Gaelic; Scots Gaelic", "hbs": "Serbo-Croatian", "ht": "Haitian; Kreyol; Kreyol Ayisyen", "nl": "Flemish",
    "hyw": "Western Armenian", "id": "Bahasa Indonesia", "lb": "Letzeburgesch", "ms": "Bahasa Melayu", "or": "Oriya",
    "my": "Myanmar", "mto": "Totontepec Mixe", "nci": "Classical Nahuatl", "nn": "Nynorsk", "nb": "Bokmål",
    "pa": "Panjabi", "piqd": "Klingon", "ps": "Pushto", "pt-br": "Brazilian", "py": "Pyash", "qdb": "Lang Belta",
    "qya": "Quenya", "ro": "Moldavian; Moldovan", "si": "Sinhalese", "sjn": "Sindarin", "ug": "Uighur",
    "yue": "广东话; 廣東話; 粤语",
}  # fmt: skip
"""Names that CLDR has not, or has for no language of its own."""

MORE_REGIONS = {
    "us": "USA; America; United States of America; American", "gb": "UK; Great Britain; Britain; England; British",
    "au": "Australian", "ca": "Canadian", "in": "Indian", "ie": "Irish", "mx": "Mexican", "br": "Brazilian",
    "ar": "Argentinian; Argentine", "ch": "Swiss", "at": "Austrian", "be": "Belgian", "hk": "Hong Kong", "cn":
    "Mainland China; PRC", "tw": "Taiwanese", "419": "Latin American", "za": "South African", "nz": "New Zealand",
}  # fmt: skip
LIBRARIANS = "alb:sq arm:hy baq:eu bur:my chi:zh cze:cs dut:nl fre:fr geo:ka ger:de gre:el ice:is mac:mk mao:mi may:ms "
LIBRARIANS += "per:fa rum:ro slo:sk tib:bo wel:cy scc:sr scr:hr"


def endonym(code: str) -> str:
    """Return what the language calls itself, or an empty string."""
    try:
        return Locale.parse(code).get_language_name() or ""
    except (UnknownLocaleError, ValueError):
        return ""


def languages() -> list[str]:
    """Return lines: code, other codes, names; tags with a region or a script among the codes."""
    aliases: dict[str, list[str]] = {}
    for old, new in {**get_global("language_aliases"), **dict(pair.split(":") for pair in LIBRARIANS.split())}.items():
        if "_" not in old + new and len(old) <= 3:
            aliases.setdefault(new, []).append(old)
    lines = []
    for code, name in sorted(ENGLISH.languages.items()):
        tag = code.replace("_", "-").lower()
        own = endonym(code) if code in LOCALES and "_" not in code else ""
        more = MORE_NAMES.pop(tag, "").split("; ")
        names = [name, *(each for each in (own, *more) if each and each.casefold() != name.casefold())]
        lines.append("\t".join([tag, " ".join(sorted(aliases.get(code, []))), "; ".join(names)]))
    return sorted([*lines, *(f"{tag}\t\t{names}" for tag, names in MORE_NAMES.items())])


def regions() -> list[str]:
    """Return lines: code, names."""
    names = {code.lower(): name for code, name in sorted(ENGLISH.territories.items()) if code != "ZZ"}
    return [
        "\t".join([code, "; ".join([name, *MORE_REGIONS.get(code, "").split("; ")]).rstrip("; ")])
        for code, name in names.items()
    ]


LOCALES = set(locale_identifiers())
for file, rows in (("languages.tsv", languages()), ("regions.tsv", regions())):
    (FOLDER / file).write_text("\n".join([HEAD, *rows]) + "\n", encoding="utf-8")
    print(json.dumps({"file": file, "rows": len(rows)}))
