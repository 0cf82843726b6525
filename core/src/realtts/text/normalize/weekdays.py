"""Days of the week in short, from one to another: ``Mon-Fri``, ``Mo.–Fr.``."""

from __future__ import annotations

import re

from realtts.text.normalize.kind import Kind, Rule, any_of

__all__ = ["Weekdays"]

_SHORT = {
    "en": "mon=Monday tue=Tuesday tues=Tuesday wed=Wednesday thu=Thursday thur=Thursday thurs=Thursday fri=Friday"
    " sat=Saturday sun=Sunday",
    "de": "mo=Montag di=Dienstag mi=Mittwoch do=Donnerstag fr=Freitag sa=Samstag so=Sonntag",
    "fr": "lun=lundi mar=mardi mer=mercredi jeu=jeudi ven=vendredi sam=samedi dim=dimanche",
    "es": "lun=lunes mar=martes mié=miércoles jue=jueves vie=viernes sáb=sábado dom=domingo",
    "it": "lun=lunedì mar=martedì mer=mercoledì gio=giovedì ven=venerdì sab=sabato dom=domenica",
    "pt": "seg=segunda ter=terça qua=quarta qui=quinta sex=sexta sáb=sábado dom=domingo",
    "nl": "ma=maandag di=dinsdag wo=woensdag do=donderdag vr=vrijdag za=zaterdag zo=zondag",
    "pl": "pn=poniedziałek pon=poniedziałek wt=wtorek śr=środa czw=czwartek pt=piątek sob=sobota nd=niedziela"
    " niedz=niedziela",
    "ru": "пн=понедельник вт=вторник ср=среда чт=четверг пт=пятница сб=суббота вс=воскресенье",
    "sv": "mån=måndag tis=tisdag ons=onsdag tors=torsdag tor=torsdag fre=fredag lör=lördag sön=söndag",
    "da": "man=mandag tir=tirsdag ons=onsdag tor=torsdag tors=torsdag fre=fredag lør=lørdag søn=søndag",
    "no": "man=mandag tir=tirsdag ons=onsdag tor=torsdag tors=torsdag fre=fredag lør=lørdag søn=søndag",
    "tr": "pzt=pazartesi sal=salı çar=çarşamba per=perşembe cum=cuma cmt=cumartesi paz=pazar",
}  # fmt: skip


class Weekdays(Kind):
    """Ranges of days of the week; one alone is an abbreviation, or a word that looks like one."""

    def rules(self) -> list[Rule]:
        """Return the rules in the order in which they are applied."""
        if self.language.name not in _SHORT:
            return []
        days = dict(entry.split("=") for entry in _SHORT[self.language.name].split())
        day = any_of(map(str.title, days)) if self.is_("de") else f"(?i:{any_of(days)})"
        pattern = rf"(?<![\w-])({day})(?:\.?[-\u2010-\u2013]|\.?\s[-\u2013]\s)({day})(\.?)(?![\w-])"

        def said(match: re.Match[str]) -> str | None:
            first, last = days[match[1].lower()], days[match[2].lower()]
            if first == last or (match[1].islower() and match[0].count(" ")):
                return None
            rest = match.string[match.end() :].lstrip(" ")
            end = "." if match[3] and (not rest or self.starts_sentence(match.string, match.end())) else ""
            return f"{first} {self.words.to} {last}{end}"

        return [Rule(re.compile(pattern), said, frozenset("-\u2010\u2011\u2012\u2013"))]
