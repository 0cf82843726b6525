"""Abbreviations by language, with what is said for them."""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING

from realtts.text.normalize.kind import any_of

if TYPE_CHECKING:
    from collections.abc import Container

__all__ = ["MARKERS", "abbreviations"]

MARKERS = "#~!@^"
"""See `abbreviations`."""

_TABLE = {
    "en": "Mr.=Mister|Mrs.=Missus|Ms.=Miz|Dr.=Doctor|Prof.=Professor|Gen.^=General|Capt.=Captain|Lt.=Lieutenant"
    "|Col.^=Colonel|Sgt.=Sergeant|Rev.^=Reverend|Hon.=Honorable|Sen.=Senator|Gov.=Governor|Pres.=President|Jr.=Junior"
    "|Sr.=Senior|St.=Saint|Mt.=Mount|Ft.^=Fort|Ave.=Avenue|Blvd.=Boulevard|Rd.=Road|Inc.=Incorporated|Ltd.=Limited"
    "|Corp.=Corporation|Dept.=Department|Fig.=Figure|Vol.=Volume|vs.=versus|e.g.=for example|i.e.=that is"
    "|etc.=et cetera|approx.=approximately|est.=established|w/o=without|w/=with|a.k.a.=also known as|No.#=number"
    "|no.#=number|nos.#=numbers|Nos.#=numbers|p.#=page|pp.#=pages|ch.#=chapter|ca.=circa|Jan.@=January|Feb.=February"
    "|Aug.=August|Sept.=September|Oct.=October|Nov.=November|Dec.=December|Sep.=September|Apr.=April|Jun.@=June"
    "|Jul.=July|Mar.@=March|Tue.=Tuesday|Tues.=Tuesday|Wed.=Wednesday|Weds.=Wednesday|Thu.=Thursday|Thur.=Thursday"
    "|Thurs.=Thursday|Fri.=Friday|Mon.=Monday|Sat.=Saturday|Sun.@=Sunday|dept.=department|Depts.=Departments"
    "|depts.=departments|govt.=government|Govt.=Government|Assn.=Association|assn.=association|Assoc.=Associate"
    "|Bros.=Brothers|Univ.=University|Intl.=International|Natl.=National|Mfg.=Manufacturing|Maj.=Major|Cpl.=Corporal"
    "|Pvt.=Private|Cmdr.=Commander|Adm.=Admiral|Rep.^=Representative|Amb.=Ambassador|Supt.=Superintendent"
    "|Esq.=Esquire|Capts.=Captains|Profs.=Professors|Drs.=Doctors|Ph.D.=P H D|cf.=compare|Hwy.=Highway|Pkwy.=Parkway"
    "|Bldg.=Building|bldg.=building|Mts.=Mountains|Apt.#=Apartment|apt.#=apartment|Ste.#=Suite|ste.#=suite|Rm.#=Room"
    "|rm.#=room|Ext.#=Extension|ext.#=extension|Figs.=Figures|fig.#=figure|figs.#=figures|vol.#=volume|vols.#=volumes"
    "|Ch.#=Chapter|Sec.#=Section|Eq.#=Equation|eq.#=equation|Tel.=Telephone|tel.=telephone|avg.=average"
    "|misc.=miscellaneous|incl.=including|excl.=excluding|et al.=and others|asst.=assistant|Asst.=Assistant"
    "|mgr.=manager|Mgr.=Manager|max.#=maximum|min.#=minimum|Messrs.=Messieurs|Mme.=Madame",
    "de": "z. B.=zum Beispiel|z.B.=zum Beispiel|d. h.=das heißt|d.h.=das heißt|u. a.=unter anderem|u.a.=unter anderem"
    "|usw.=und so weiter|bzw.=beziehungsweise|ca.=circa|Nr.=Nummer|Dr.=Doktor|Prof.=Professor|Hr.=Herr|Fr.^=Frau"
    "|Fr.=Freitag|Hrn.=Herrn|Frl.=Fräulein|v. Chr.=vor Christus|n. Chr.=nach Christus|v.Chr.=vor Christus"
    "|n.Chr.=nach Christus|i. d. R.=in der Regel|i.d.R.=in der Regel|u. U.=unter Umständen|u.U.=unter Umständen"
    "|z. T.=zum Teil|z.T.=zum Teil|z. Zt.=zur Zeit|z.Zt.=zur Zeit|m. E.=meines Erachtens|o. g.=oben genannte"
    "|s. o.=siehe oben|s. u.=siehe unten|u. v. m.=und vieles mehr|u.v.m.=und vieles mehr|geb.#=geboren|geb.^=geborene"
    "|Tsd.=Tausend|St.~=Stück|Stk.=Stück|lt.=laut|allg.=allgemein|insb.=insbesondere|insbes.=insbesondere"
    "|Dipl.-Ing.=Diplomingenieur|dgl.=dergleichen|Str.=Straße|Pl.^=Platz|gem.=gemäß|d. J.=dieses Jahres"
    "|MwSt.=Mehrwertsteuer|inkl.=inklusive|exkl.=exklusive|ggf.=gegebenenfalls|evtl.=eventuell|vgl.=vergleiche"
    "|Mio.=Millionen|Mrd.=Milliarden|Tel.=Telefon|Std.=Stunden|Min.~=Minuten|Min.#=mindestens|Sek.=Sekunden"
    "|etc.=et cetera|S.#=Seite|Abs.#=Absatz|Art.#=Artikel|Mo.@=Montag|Di.@=Dienstag|Mi.@=Mittwoch|Do.@=Donnerstag"
    "|Sa.@=Samstag|So.@=Sonntag|Jan.@=Januar|Feb.=Februar|Apr.=April|Aug.=August|Sept.=September|Sep.=September"
    "|Okt.=Oktober|Nov.=November|Dez.=Dezember|Hbf.=Hauptbahnhof|Jh.=Jahrhundert|Jhd.=Jahrhundert|Bd.#=Band"
    "|Abb.#=Abbildung|Tab.#=Tabelle|sog.=sogenannte|bspw.=beispielsweise|zzgl.=zuzüglich|max.#=maximal"
    "|mind.#=mindestens|Kap.#=Kapitel|o. ä.=oder ähnliches|u. Ä.=und Ähnliches|St.=Sankt|o. Ä.=oder Ähnliches"
    "|u. ä.=und ähnliche|Fa.=Firma|Inh.=Inhaber|Ing.^=Ingenieur",
    "fr": "MM.=Messieurs|Mme.=Madame|Mlle.=Mademoiselle|Dr.=Docteur|Pr.=Professeur|Mgr=Monseigneur|Mme=Madame"
    "|Mlle=Mademoiselle|Mmes=Mesdames|Dr=Docteur|Pr=Professeur|St=Saint|Ste=Sainte|etc.=et cetera|p. ex.=par exemple"
    "|c.-à-d.=c'est-à-dire|env.=environ|av. J.-C.=avant Jésus-Christ|apr. J.-C.=après Jésus-Christ|av.=avenue"
    "|ap. J.-C.=après Jésus-Christ|c.-à-d=c'est-à-dire|N.B.=nota bene|Cie=compagnie|cf.=confer|éd.=édition"
    "|hab.=habitants|bd=boulevard|tél.=téléphone|janv.=janvier|févr.=février|avr.=avril|juil.=juillet|sept.=septembre"
    "|oct.=octobre|nov.=novembre|déc.=décembre|lun.#=lundi|mar.#=mardi|mer.#=mercredi|jeu.#=jeudi|ven.#=vendredi"
    "|sam.#=samedi|dim.#=dimanche|boul.=boulevard|M.=Monsieur|n°#=numéro|N°#=numéro|p.#=page|pp.#=pages|art.#=article"
    "|chap.#=chapitre|vol.#=volume|no#=numéro|nos#=numéros|No#=numéro",
    "es": "Sr.=señor|Sra.=señora|Srta.=señorita|Sres.=señores|Dr.=doctor|Dra.=doctora|D.^=don|Dña.=doña|D.ª=doña"
    "|Vd.=usted|Vds.=ustedes|a. C.=antes de Cristo|a.C.=antes de Cristo|d. C.=después de Cristo"
    "|d.C.=después de Cristo|p. m.~=pe eme|a. m.~=a eme|p.m.~=pe eme|a.m.~=a eme|p.ej.=por ejemplo|Sta.=santa"
    "|Sto.=santo|Lic.=licenciado|Ing.^=ingeniero|No.#=número|nº#=número|Nº#=número|dpto.=departamento"
    "|depto.=departamento|pza.=plaza|Pza.=plaza|C/=calle|izq.=izquierda|dcha.=derecha|Ud.=usted|Uds.=ustedes"
    "|etc.=etcétera|p. ej.=por ejemplo|Av.=avenida|Avda.=avenida|EE. UU.=Estados Unidos|EE.UU.=Estados Unidos"
    "|Prof.=profesor|aprox.=aproximadamente|tel.=teléfono|n.º#=número|núm.#=número|pág.#=página|págs.#=páginas"
    "|cap.#=capítulo|art.#=artículo",
    "it": "Sig.=signor|Sig.ra=signora|Sig.na=signorina|Dott.=dottor|Dott.ssa=dottoressa|Prof.=professor"
    "|Prof.ssa=professoressa|Ing.=ingegner|Avv.=avvocato|ecc.=eccetera|es.=esempio|a.C.=avanti Cristo"
    "|d.C.=dopo Cristo|a. C.=avanti Cristo|d. C.=dopo Cristo|Sigg.=signori|Spett.=spettabile|Egr.=egregio"
    "|Gent.=gentile|nr.#=numero|n°#=numero|P.za=piazza|p.za=piazza|V.le=viale|c.so=corso|C.so=corso|ca.=circa"
    "|tel.=telefono|n.#=numero|pag.#=pagina|pagg.#=pagine|cap.#=capitolo|art.#=articolo|sec.#=secolo"
    "|vol.#=volume",
    "pt": "Sr.=senhor|Sra.=senhora|Dr.=doutor|Dra.=doutora|Prof.=professor|Profa.=professora|etc.=et cetera"
    "|p. ex.=por exemplo|p.ex.=por exemplo|Exmo.=excelentíssimo|Exma.=excelentíssima|Eng.=engenheiro|D.^=dom"
    "|a.C.=antes de Cristo|d.C.=depois de Cristo|a. C.=antes de Cristo|d. C.=depois de Cristo|Sto.=santo|Sta.=santa"
    "|Srta.=senhorita|Drs.=doutores|Srs.=senhores|Jr.=júnior|No.#=número|Nº#=número|págs.#=páginas|Av.=avenida"
    "|aprox.=aproximadamente|tel.=telefone|n.º#=número|nº#=número|pág.#=página|art.#=artigo|cap.#=capítulo"
    "|séc.#=século|vol.#=volume",
    "ru": "т. е.=то есть|т.е.=то есть|и т. д.=и так далее|и т.д.=и так далее|и т. п.=и тому подобное"
    "|и т.п.=и тому подобное|др.=другие|ул.=улица|им.^=имени|гг.=годов|г.=года|в.~=века|до н. э.=до нашей эры"
    "|до н.э.=до нашей эры|н. э.=нашей эры|н.э.=нашей эры|вв.~=веков|пр.^=проспект|пр.=прочее|т. к.=так как"
    "|т.к.=так как|т. н.=так называемый|т.н.=так называемый|млн.~=миллионов|млрд.~=миллиардов|млн~=миллионов"
    "|млрд~=миллиардов|пр-т=проспект|просп.=проспект|пл.^=площадь|наб.^=набережная|д.#=дом|кв.#=квартира"
    "|корп.#=корпус|обл.=область|р-н=район|св.^=святой|сек.~=секунд|чел.~=человек|шт.~=штук|г-н=господин|г-жа=госпожа"
    "|д-р=доктор|тыс.~=тысяч|стр.#=страница|ст.#=статья|тел.=телефон|проф.=профессор|акад.=академик|напр.=например"
    "|см.!=смотри|гл.#=глава",
    "nl": "dhr.=de heer|mevr.=mevrouw|dr.=dokter|prof.=professor|bijv.=bijvoorbeeld|bv.=bijvoorbeeld|enz.=enzovoort"
    "|d.w.z.=dat wil zeggen|o.a.=onder andere|ca.=circa|a.u.b.=alstublieft|i.p.v.=in plaats van|t/m=tot en met"
    "|m.b.t.=met betrekking tot|t.o.v.=ten opzichte van|i.v.m.=in verband met|e.d.=en dergelijke"
    "|n.a.v.=naar aanleiding van|v.Chr.=voor Christus|n.Chr.=na Christus|ir.=ingenieur|ing.=ingenieur|mr.^=meester"
    "|St.^=Sint|jl.=jongstleden|max.#=maximaal|min.#=minimaal|tel.=telefoon|pag.#=pagina|mln.=miljoen|mld.=miljard"
    "|nr.#=nummer|blz.#=bladzijde|art.#=artikel",
    "pl": "np.=na przykład|itd.=i tak dalej|itp.=i tym podobne|tzn.=to znaczy|m.in.=między innymi|ul.=ulica|dr=doktor"
    "|prof.=profesor|inż.=inżynier|tel.=telefon|ok.#=około|nr#=numer|str.#=strona|art.#=artykuł|mln~=milionów"
    "|mld~=miliardów|tys.~=tysięcy|r.~=roku|w.~=wieku|św.^=święty|al.^=aleja|pl.^=plac|gen.^=generał|im.^=imienia"
    "|mgr=magister|tzw.=tak zwany|godz.=godzina|o godz.=o godzinie|po godz.=po godzinie|od godz.=od godziny"
    "|do godz.=do godziny|około godz.=około godziny|przed godz.=przed godziną|p.n.e.=przed naszą erą|n.e.=naszej ery"
    "|rozdz.#=rozdział|ks.^=ksiądz|płk=pułkownik|hab.=habilitowany|ds.=do spraw|zob.=zobacz|s.#=strona",
    "sv": "t.ex.=till exempel|t ex=till exempel|bl.a.=bland annat|osv.=och så vidare|dvs.=det vill säga|ca=cirka"
    "|ca.=cirka|m.m.=med mera|tel.=telefon|dr=doktor|prof.=professor|nr#=nummer|kap.#=kapitel|s.#=sidan|kl.#=klockan"
    "|bl a=bland annat|fr.o.m.=från och med|t.o.m.=till och med|f.d.=före detta|nr.#=nummer|st.~=stycken",
    "da": "f.eks.=for eksempel|bl.a.=blandt andet|osv.=og så videre|dvs.=det vil sige|ca.=cirka|m.m.=med mere"
    "|hr.=herr|fru.=fru|dr.=doktor|prof.=professor|nr.#=nummer|kap.#=kapitel|s.#=side|kl.#=klokken|ift.=i forhold til"
    "|pga.=på grund af|mht.=med hensyn til",
    "no": "f.eks.=for eksempel|bl.a.=blant annet|osv.=og så videre|dvs.=det vil si|ca.=cirka|m.m.=med mer|dr.=doktor"
    "|prof.=professor|nr.#=nummer|kap.#=kapittel|s.#=side|kl.#=klokken|pga.=på grunn av|mht.=med hensyn til",
    "fi": "esim.=esimerkiksi|ym.=ynnä muuta|jne.=ja niin edelleen|mm.!=muun muassa|n.=noin|ks.=katso|tri=tohtori"
    "|puh.=puhelin|nro#=numero|s.#=sivu|klo#=kello|os.=osoite",
    "tr": "Dr.=doktor|Prof.=profesör|Av.=avukat|vb.=ve benzeri|vs.=vesaire|Doç.=doçent|Mah.=mahallesi"
    "|M.Ö.=milattan önce|M.S.=milattan sonra|MÖ#=milattan önce|MS#=milattan sonra|bkz.=bakınız|yy.=yüzyıl|St.^=Saint"
    "|örn.=örneğin|Sn.=sayın|Tel.=telefon|No.#=numara|No:#=numara|s.#=sayfa|Cad.=caddesi|Sok.=sokak",
    "el": "π.χ.=παραδείγματος χάριν|κ.λπ.=και λοιπά|κλπ.=και λοιπά|δηλ.=δηλαδή|κ.ά.=και άλλα|τηλ.=τηλέφωνο"
    "|αρ.#=αριθμός|σελ.#=σελίδα",
    "he": "ד\"ר=דוקטור|פרופ'=פרופסור|וכו'=וכולי|עמ'#=עמוד|מס'#=מספר|גב'=גברת",
    "ar": "إلخ.=إلى آخره|د.=دكتور|أ.د.=أستاذ دكتور|ص.#=صفحة",
    "hi": "डॉ.=डॉक्टर|श्री.=श्री|प्रो.=प्रोफ़ेसर|रु.#=रुपये",
    "ms": "Dr.=doktor|Prof.=profesor|En.=Encik|Pn.=Puan|dsb.=dan sebagainya|dll.=dan lain-lain|cth.=contohnya"
    "|No.#=nombor|Jln.=Jalan",
    "sw": "Dkt.=daktari|Prof.=profesa|Bw.=Bwana|Bi.=Bibi|n.k.=na kadhalika|k.m.=kwa mfano|Na.#=namba|uk.#=ukurasa",
    "vi": "TS.=tiến sĩ|ThS.=thạc sĩ|GS.=giáo sư|TP.=thành phố|v.v.=vân vân|PGS.=phó giáo sư|BS.=bác sĩ|KS.=kỹ sư"
    "|Q.#=quận|P.#=phường|vd.=ví dụ|VD:=ví dụ:|tr.#=trang",
}


@functools.cache
def abbreviations(language: str) -> tuple[re.Pattern[str], dict[str, dict[str, str]]] | None:
    """Return a pattern of a language's abbreviations, and what is said for each by its marker; None if it has none.

    A marker at the end of an abbreviation in the table tells where it counts: ``#`` before a number, ``~`` behind one,
    ``!`` not behind one, ``@`` beside a number or behind a word such as *in*, ``^`` before a name, "" everywhere.
    """
    if language not in _TABLE:
        return None
    words: dict[str, dict[str, str]] = {}
    entries = _TABLE[language].split("|")
    table = {re.split(f"[{MARKERS}]?=", entry)[0] for entry in entries}
    # Those that official spelling writes without a full stop often get one.
    entries += [re.sub(f"([{MARKERS}]?=)", r".\1", entry, count=1) for entry in entries if _undotted(entry, table)]
    for entry in entries:
        short, said = entry.split("=", 1)
        marker = short[-1] if short[-1] in MARKERS else ""
        short = short.removesuffix(marker)
        words.setdefault(short, {})[marker] = said
        first = f"{short[0].upper()}{short[1:]}"
        if short[0].islower() and sum(map(str.isalpha, short)) > 1 and first not in table:
            words.setdefault(first, {})[marker] = f"{said[0].upper()}{said[1:]}"
    shorts = any_of(words)
    return re.compile(rf"(?<![\w.])(?:{shorts})(?!\w)"), words


def _undotted(entry: str, table: Container[str]) -> bool:
    """Return whether an entry ends without a full stop, and the table has no other one that ends with it."""
    short = re.split(f"[{MARKERS}]?=", entry)[0]
    return short[-1].isalpha() and len(short) > 1 and f"{short}." not in table
