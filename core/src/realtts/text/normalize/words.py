"""Small words by language that no library has: of signs, ranges, addresses and the clock."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["WORDS", "Words"]


@dataclass(frozen=True)
class Words:
    """What the signs of a language are called.

    Attributes:
        point: Between a whole number and its decimals.
        minus: Before a negative number, and between two terms.
        to: Between the ends of a range.
        ratio: Between two numbers that are compared or scored.
        per: Before the unit that a price or a speed refers to.
        plus, equals, multiplied, divided, less, greater, about, plus_minus: Of arithmetic.
        at, dot, slash, dash, underscore: In addresses of the internet.
        number, section: Of ``#`` and ``№``, and of ``§``.
        half, quarter: Of ``½`` and ``¼``.
        over: Between the parts of a fraction; in Chinese, Japanese and Korean between its lower and upper part.
        power: Before an exponent.
    """

    point: str
    minus: str
    to: str
    ratio: str
    per: str
    plus: str
    equals: str
    multiplied: str
    divided: str
    less: str
    greater: str
    about: str
    plus_minus: str
    at: str
    dot: str
    slash: str
    dash: str
    underscore: str
    number: str
    section: str
    half: str
    quarter: str
    over: str
    power: str


_TABLE = """
en|point|minus|to|to|per|plus|equals|times|divided by|less than|greater than|about|plus or minus|at|dot|slash|dash|underscore|number|section|one half|one quarter|over|to the power of
de|Komma|minus|bis|zu|pro|plus|gleich|mal|geteilt durch|kleiner als|größer als|ungefähr|plus minus|ät|Punkt|Schrägstrich|Bindestrich|Unterstrich|Nummer|Paragraf|ein halb|ein Viertel|durch|hoch
fr|virgule|moins|à|à|par|plus|égale|fois|divisé par|inférieur à|supérieur à|environ|plus ou moins|arobase|point|barre oblique|tiret|tiret bas|numéro|paragraphe|un demi|un quart|sur|puissance
es|coma|menos|a|a|por|más|igual a|por|dividido entre|menor que|mayor que|aproximadamente|más menos|arroba|punto|barra|guion|guion bajo|número|sección|un medio|un cuarto|sobre|elevado a
it|virgola|meno|a|a|al|più|uguale a|per|diviso|minore di|maggiore di|circa|più o meno|chiocciola|punto|barra|trattino|trattino basso|numero|paragrafo|un mezzo|un quarto|su|elevato a
pt|vírgula|menos|a|a|por|mais|igual a|vezes|dividido por|menor que|maior que|cerca de|mais ou menos|arroba|ponto|barra|hífen|sublinhado|número|seção|um meio|um quarto|sobre|elevado a
ru|запятая|минус|до|к|за|плюс|равно|умножить на|разделить на|меньше|больше|примерно|плюс-минус|собака|точка|косая черта|дефис|подчёркивание|номер|параграф|одна вторая|одна четвёртая|дробь|в степени
ja|点|マイナス|から|対|毎|プラス|イコール|かける|割る|小なり|大なり|約|プラスマイナス|アットマーク|ドット|スラッシュ|ハイフン|アンダーバー|ナンバー|セクション|二分の一|四分の一|分の|の累乗
ko|점|마이너스|에서|대|당|더하기|는|곱하기|나누기|보다 작다|보다 크다|약|플러스 마이너스|골뱅이|점|슬래시|하이픈|밑줄|번호|섹션|이분의 일|사분의 일|분의|의 거듭제곱
zh|点|负|到|比|每|加|等于|乘以|除以|小于|大于|约|正负|艾特|点|斜杠|杠|下划线|号|第|二分之一|四分之一|分之|的幂
ar|فاصلة|ناقص|إلى|إلى|لكل|زائد|يساوي|ضرب|على|أصغر من|أكبر من|حوالي|زائد أو ناقص|آت|نقطة|شرطة مائلة|شرطة|شرطة سفلية|رقم|قسم|نصف|ربع|على|أس
da|komma|minus|til|til|per|plus|lig med|gange|divideret med|mindre end|større end|cirka|plus minus|snabel-a|punktum|skråstreg|bindestreg|understreg|nummer|paragraf|en halv|en kvart|over|opløftet til
el|κόμμα|μείον|έως|προς|ανά|συν|ίσον|επί|διά|μικρότερο από|μεγαλύτερο από|περίπου|συν πλην|παπάκι|τελεία|κάθετος|παύλα|κάτω παύλα|αριθμός|παράγραφος|ένα δεύτερο|ένα τέταρτο|προς|στη δύναμη
fi|pilkku|miinus|viiva|suhteessa|per|plus|yhtä kuin|kertaa|jaettuna|pienempi kuin|suurempi kuin|noin|plus miinus|ät|piste|kauttaviiva|viiva|alaviiva|numero|pykälä|puoli|neljäsosa|kautta|potenssiin
he|נקודה|מינוס|עד|מול|לכל|פלוס|שווה|כפול|חלקי|קטן מ|גדול מ|בערך|פלוס מינוס|שטרודל|נקודה|לוכסן|מקף|קו תחתון|מספר|סעיף|חצי|רבע|חלקי|בחזקת
hi|दशमलव|माइनस|से|बनाम|प्रति|प्लस|बराबर|गुणा|भाग|से कम|से अधिक|लगभग|प्लस माइनस|ऐट|डॉट|स्लैश|डैश|अंडरस्कोर|नंबर|धारा|आधा|एक चौथाई|बटा|की घात
ms|perpuluhan|negatif|hingga|berbanding|setiap|tambah|sama dengan|darab|bahagi|kurang daripada|lebih daripada|kira-kira|tambah tolak|di|titik|garis miring|sempang|garis bawah|nombor|seksyen|setengah|suku|per|kuasa
nl|komma|min|tot|tegen|per|plus|is gelijk aan|keer|gedeeld door|kleiner dan|groter dan|ongeveer|plus min|apenstaartje|punt|schuine streep|streepje|liggend streepje|nummer|paragraaf|een half|een kwart|gedeeld door|tot de macht
no|komma|minus|til|til|per|pluss|er lik|ganger|delt på|mindre enn|større enn|omtrent|pluss minus|krøllalfa|punktum|skråstrek|bindestrek|understrek|nummer|paragraf|en halv|en kvart|delt på|opphøyd i
pl|przecinek|minus|do|do|za|plus|równa się|razy|podzielić przez|mniejsze niż|większe niż|około|plus minus|małpa|kropka|ukośnik|myślnik|podkreślenie|numer|paragraf|jedna druga|jedna czwarta|przez|do potęgi
sv|komma|minus|till|till|per|plus|är lika med|gånger|delat med|mindre än|större än|ungefär|plus minus|snabel-a|punkt|snedstreck|bindestreck|understreck|nummer|paragraf|en halv|en fjärdedel|genom|upphöjt till
sw|nukta|hasi|hadi|kwa|kwa|jumlisha|sawa na|mara|gawanya kwa|chini ya|zaidi ya|takriban|jumlisha au toa|at|nukta|mkwaju|kistari|mstari wa chini|namba|kifungu|nusu|robo|juu ya|kipeo cha
tr|virgül|eksi|ila|bölü|bölü|artı|eşittir|çarpı|bölü|küçüktür|büyüktür|yaklaşık|artı eksi|et|nokta|eğik çizgi|tire|alt çizgi|numara|paragraf|yarım|çeyrek|bölü|üssü
vi|phẩy|âm|đến|trên|trên|cộng|bằng|nhân|chia|nhỏ hơn|lớn hơn|khoảng|cộng trừ|a còng|chấm|gạch chéo|gạch ngang|gạch dưới|số|mục|một phần hai|một phần tư|trên|mũ
"""  # noqa: E501 - a table

WORDS = {language: Words(*words) for language, *words in (line.split("|") for line in _TABLE.strip().splitlines())}
"""By language."""
