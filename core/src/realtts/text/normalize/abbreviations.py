"""Abbreviations by language, with what is said for them."""

from __future__ import annotations

import functools
import re

__all__ = ["abbreviations"]

_TABLE = {
    "en": "Mr.=Mister|Mrs.=Missus|Ms.=Miz|Dr.=Doctor|Prof.=Professor|Gen.=General|Capt.=Captain|Lt.=Lieutenant"
    "|Col.=Colonel|Sgt.=Sergeant|Rev.=Reverend|Hon.=Honorable|Sen.=Senator|Gov.=Governor|Pres.=President|Jr.=Junior"
    "|Sr.=Senior|St.=Saint|Mt.=Mount|Ft.=Fort|Ave.=Avenue|Blvd.=Boulevard|Rd.=Road|Inc.=Incorporated|Ltd.=Limited"
    "|Corp.=Corporation|Dept.=Department|Fig.=Figure|Vol.=Volume|vs.=versus|e.g.=for example|i.e.=that is"
    "|etc.=et cetera|approx.=approximately|est.=established|w/o=without|w/=with|a.k.a.=also known as|No.#=number"
    "|Nos.#=numbers|p.#=page|pp.#=pages|ch.#=chapter|ca.=circa|Jan.=January|Feb.=February|Aug.=August"
    "|Sept.=September|Oct.=October|Nov.=November|Dec.=December|Sep.=September|Apr.=April|Jun.=June|Jul.=July|Mar.#=March"
    "|Tue.=Tuesday|Tues.=Tuesday|Wed.=Wednesday|Weds.=Wednesday|Thu.=Thursday|Thur.=Thursday|Thurs.=Thursday"
    "|Fri.=Friday|Mon.=Monday|Sat.=Saturday|Sun.#=Sunday|dept.=department|Depts.=Departments|depts.=departments"
    "|govt.=government|Govt.=Government|Assn.=Association|assn.=association|Assoc.=Associate|Bros.=Brothers"
    "|Univ.=University|Intl.=International|Natl.=National|Mfg.=Manufacturing|Maj.=Major|Cpl.=Corporal|Pvt.=Private"
    "|Cmdr.=Commander|Adm.=Admiral|Rep.=Representative|Amb.=Ambassador|Supt.=Superintendent|Esq.=Esquire"
    "|Hwy.=Highway|Pkwy.=Parkway|Bldg.=Building|bldg.=building|Mts.=Mountains|Apt.#=Apartment|apt.#=apartment"
    "|Ste.#=Suite|ste.#=suite|Rm.#=Room|rm.#=room|Ext.#=Extension|ext.#=extension|Figs.=Figures|fig.#=figure"
    "|figs.#=figures|vol.#=volume|vols.#=volumes|Ch.#=Chapter|Sec.#=Section|Eq.#=Equation|eq.#=equation|Tel.=Telephone"
    "|tel.=telephone|avg.=average|misc.=miscellaneous|incl.=including|excl.=excluding|et al.=and others|asst.=assistant"
    "|Asst.=Assistant|mgr.=manager|Mgr.=Manager|max.#=maximum|min.#=minimum|Messrs.=Messieurs|Mme.=Madame",
    "de": "z. B.=zum Beispiel|z.B.=zum Beispiel|d. h.=das heißt|d.h.=das heißt|u. a.=unter anderem|u.a.=unter anderem"
    "|usw.=und so weiter|bzw.=beziehungsweise|ca.=circa|Nr.=Nummer|Dr.=Doktor|Prof.=Professor|Hr.=Herr|Fr.=Frau"
    "|inkl.=inklusive|exkl.=exklusive|ggf.=gegebenenfalls|evtl.=eventuell|vgl.=vergleiche|Mio.=Millionen"
    "|Mrd.=Milliarden|Tel.=Telefon|Std.=Stunden|Min.=Minuten|etc.=et cetera|S.#=Seite|Abs.#=Absatz|Art.#=Artikel"
    "|Mo.#=Montag|Di.#=Dienstag|Mi.#=Mittwoch|Do.#=Donnerstag|Sa.#=Samstag|So.#=Sonntag|Jan.=Januar"
    "|Feb.=Februar|Apr.=April|Aug.=August|Sept.=September|Okt.=Oktober|Nov.=November|Dez.=Dezember|Hbf.=Hauptbahnhof"
    "|Jh.=Jahrhundert|Jhd.=Jahrhundert|Bd.#=Band|Abb.#=Abbildung|Tab.#=Tabelle|sog.=sogenannte|bspw.=beispielsweise"
    "|zzgl.=zuzüglich|max.#=maximal|mind.#=mindestens"
    "|Kap.#=Kapitel|o. ä.=oder ähnliches|u. Ä.=und Ähnliches|St.=Sankt",
    "fr": "MM.=Messieurs|Mme=Madame|Mlle=Mademoiselle|Mmes=Mesdames|Dr=Docteur|Pr=Professeur|St=Saint|Ste=Sainte"
    "|etc.=et cetera|p. ex.=par exemple|c.-à-d.=c'est-à-dire|env.=environ|av.=avenue|bd=boulevard|tél.=téléphone"
    "|janv.=janvier|févr.=février|avr.=avril|juil.=juillet|sept.=septembre|oct.=octobre|nov.=novembre|déc.=décembre"
    "|lun.#=lundi|mar.#=mardi|mer.#=mercredi|jeu.#=jeudi|ven.#=vendredi|sam.#=samedi|dim.#=dimanche|boul.=boulevard"
    "|M.=Monsieur|n°#=numéro|N°#=numéro|p.#=page|art.#=article|chap.#=chapitre",
    "es": "Sr.=señor|Sra.=señora|Srta.=señorita|Sres.=señores|Dr.=doctor|Dra.=doctora|D.=don|Dña.=doña|Ud.=usted"
    "|Uds.=ustedes|etc.=etcétera|p. ej.=por ejemplo|Av.=avenida|Avda.=avenida|EE. UU.=Estados Unidos"
    "|EE.UU.=Estados Unidos|Prof.=profesor|aprox.=aproximadamente|tel.=teléfono|n.º#=número|núm.#=número"
    "|pág.#=página|págs.#=páginas|cap.#=capítulo|art.#=artículo",
    "it": "Sig.=signor|Sig.ra=signora|Sig.na=signorina|Dott.=dottor|Dott.ssa=dottoressa|Prof.=professor"
    "|Prof.ssa=professoressa|Ing.=ingegner|Avv.=avvocato|ecc.=eccetera|es.=esempio|ca.=circa|tel.=telefono"
    "|n.#=numero|pag.#=pagina|pagg.#=pagine|cap.#=capitolo|art.#=articolo",
    "pt": "Sr.=senhor|Sra.=senhora|Dr.=doutor|Dra.=doutora|Prof.=professor|Profa.=professora|etc.=et cetera"
    "|p. ex.=por exemplo|Av.=avenida|aprox.=aproximadamente|tel.=telefone|n.º#=número|nº#=número|pág.#=página"
    "|art.#=artigo|cap.#=capítulo",
    "ru": "т. е.=то есть|т.е.=то есть|и т. д.=и так далее|и т.д.=и так далее|и т. п.=и тому подобное"
    "|и т.п.=и тому подобное|др.=другие|ул.=улица|им.=имени|гг.=годов|г.=года|в.=века|млн=миллионов|млрд=миллиардов"
    "|тыс.=тысяч|стр.#=страница|ст.#=статья|тел.=телефон|проф.=профессор|акад.=академик|напр.=например|см.=смотри",
    "nl": "dhr.=de heer|mevr.=mevrouw|dr.=dokter|prof.=professor|bijv.=bijvoorbeeld|bv.=bijvoorbeeld|enz.=enzovoort"
    "|d.w.z.=dat wil zeggen|o.a.=onder andere|ca.=circa|a.u.b.=alstublieft|i.p.v.=in plaats van|nr.#=nummer"
    "|blz.#=bladzijde|art.#=artikel",
    "pl": "np.=na przykład|itd.=i tak dalej|itp.=i tym podobne|tzn.=to znaczy|m.in.=między innymi|ul.=ulica|dr=doktor"
    "|prof.=profesor|inż.=inżynier|tel.=telefon|ok.=około|nr#=numer|str.#=strona|art.#=artykuł|mln=milionów"
    "|mld=miliardów|tys.=tysięcy",
    "sv": "t.ex.=till exempel|t ex=till exempel|bl.a.=bland annat|osv.=och så vidare|dvs.=det vill säga|ca=cirka"
    "|m.m.=med mera|tel.=telefon|dr=doktor|prof.=professor|nr#=nummer|kap.#=kapitel|s.#=sidan",
    "da": "f.eks.=for eksempel|bl.a.=blandt andet|osv.=og så videre|dvs.=det vil sige|ca.=cirka|m.m.=med mere"
    "|hr.=herr|fru.=fru|dr.=doktor|prof.=professor|nr.#=nummer|kap.#=kapitel|s.#=side",
    "no": "f.eks.=for eksempel|bl.a.=blant annet|osv.=og så videre|dvs.=det vil si|ca.=cirka|m.m.=med mer"
    "|dr.=doktor|prof.=professor|nr.#=nummer|kap.#=kapittel|s.#=side",
    "fi": "esim.=esimerkiksi|ym.=ynnä muuta|jne.=ja niin edelleen|mm.=muun muassa|n.=noin|ks.=katso|tri=tohtori"
    "|puh.=puhelin|nro#=numero|s.#=sivu",
    "tr": "Dr.=doktor|Prof.=profesör|Av.=avukat|vb.=ve benzeri|vs.=vesaire|örn.=örneğin|Sn.=sayın|Tel.=telefon"
    "|No.#=numara|s.#=sayfa|Cad.=caddesi|Sok.=sokak",
    "el": "π.χ.=παραδείγματος χάριν|κ.λπ.=και λοιπά|κλπ.=και λοιπά|δηλ.=δηλαδή|κ.ά.=και άλλα|τηλ.=τηλέφωνο"
    "|αρ.#=αριθμός|σελ.#=σελίδα",
    "he": "ד\"ר=דוקטור|פרופ'=פרופסור|וכו'=וכולי|עמ'#=עמוד|מס'#=מספר|גב'=גברת",
    "ar": "إلخ.=إلى آخره|د.=دكتور|أ.د.=أستاذ دكتور|ص.#=صفحة",
    "hi": "डॉ.=डॉक्टर|श्री.=श्री|प्रो.=प्रोफ़ेसर|रु.#=रुपये",
    "ms": "Dr.=doktor|Prof.=profesor|En.=Encik|Pn.=Puan|dsb.=dan sebagainya|dll.=dan lain-lain|cth.=contohnya"
    "|No.#=nombor|Jln.=Jalan",
    "sw": "Dkt.=daktari|Prof.=profesa|Bw.=Bwana|Bi.=Bibi|n.k.=na kadhalika|k.m.=kwa mfano|Na.#=namba|uk.#=ukurasa",
    "vi": "TS.=tiến sĩ|ThS.=thạc sĩ|GS.=giáo sư|TP.=thành phố|v.v.=vân vân",
}


@functools.cache
def abbreviations(language: str) -> tuple[re.Pattern[str], dict[str, str]] | None:
    """Return a pattern of a language's abbreviations and the words by abbreviation; None if it has none.

    One that is followed by ``#`` in the table counts only before a number.
    """
    if language not in _TABLE:
        return None
    pairs = dict(entry.split("=", 1) for entry in _TABLE[language].split("|"))
    words = {short.removesuffix("#"): said for short, said in pairs.items()}
    ordered = sorted(pairs, key=len, reverse=True)
    anywhere = "|".join(_spelled(short) for short in ordered if not short.endswith("#"))
    numbered = "|".join(_spelled(short[:-1]) for short in ordered if short.endswith("#"))
    before = rf"|(?:{numbered})(?=\s?\d)" if numbered else ""
    return re.compile(rf"(?<![\w.])(?:(?:{anywhere})(?!\w){before})"), words


def _spelled(short: str) -> str:
    return re.escape(short)
