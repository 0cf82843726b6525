"""Signs of units and currencies, by the names that the Unicode locale data has for them."""

from __future__ import annotations

__all__ = ["ALIASES", "ANY_CASE", "CODES", "CURRENCIES", "LOCAL_CURRENCIES", "UNITS"]

UNITS = {
    "%": "concentr-percent", "‰": "concentr-permille", "‱": "concentr-permyriad", "ppm": "concentr-part-per-1e6",
    "ppb": "concentr-part-per-1e9", "mol": "concentr-mole",
    "°C": "temperature-celsius", "℃": "temperature-celsius", "°F": "temperature-fahrenheit",
    "℉": "temperature-fahrenheit", "K": "temperature-kelvin", "°": "angle-degree",
    "km": "length-kilometer", "m": "length-meter", "dm": "length-decimeter", "cm": "length-centimeter",
    "mm": "length-millimeter", "µm": "length-micrometer", "μm": "length-micrometer", "nm": "length-nanometer",
    "mi": "length-mile", "yd": "length-yard", "ft": "length-foot", "″": "length-inch", "′": "length-foot",
    "kg": "mass-kilogram", "g": "mass-gram", "mg": "mass-milligram", "µg": "mass-microgram", "μg": "mass-microgram",
    "t": "mass-tonne", "lb": "mass-pound", "lbs": "mass-pound", "oz": "mass-ounce",
    "l": "volume-liter", "L": "volume-liter", "ml": "volume-milliliter", "mL": "volume-milliliter",
    "cl": "volume-centiliter", "dl": "volume-deciliter", "hl": "volume-hectoliter", "gal": "volume-gallon",
    "m²": "area-square-meter", "m2": "area-square-meter", "km²": "area-square-kilometer",
    "km2": "area-square-kilometer", "cm²": "area-square-centimeter", "cm2": "area-square-centimeter",
    "ha": "area-hectare", "ft²": "area-square-foot", "m³": "volume-cubic-meter", "m3": "volume-cubic-meter",
    "cm³": "volume-cubic-centimeter", "cm3": "volume-cubic-centimeter", "km³": "volume-cubic-kilometer",
    "km/h": "speed-kilometer-per-hour", "kph": "speed-kilometer-per-hour", "m/s": "speed-meter-per-second",
    "mph": "speed-mile-per-hour", "m/s²": "acceleration-meter-per-square-second",
    "mpg": "consumption-mile-per-gallon", "l/100 km": "consumption-liter-per-100-kilometer",
    "l/100km": "consumption-liter-per-100-kilometer",
    "h": "duration-hour", "min": "duration-minute", "s": "duration-second", "sec": "duration-second",
    "yr": "duration-year",
    "ms": "duration-millisecond", "µs": "duration-microsecond", "ns": "duration-nanosecond",
    "W": "power-watt", "mW": "power-milliwatt", "kW": "power-kilowatt", "MW": "power-megawatt",
    "GW": "power-gigawatt", "hp": "power-horsepower", "V": "electric-volt", "A": "electric-ampere",
    "mA": "electric-milliampere", "Ω": "electric-ohm", "Hz": "frequency-hertz", "kHz": "frequency-kilohertz",
    "MHz": "frequency-megahertz", "GHz": "frequency-gigahertz", "J": "energy-joule", "kJ": "energy-kilojoule",
    "cal": "energy-calorie", "kcal": "energy-kilocalorie", "kWh": "energy-kilowatt-hour", "Pa": "pressure-pascal",
    "hPa": "pressure-hectopascal", "kPa": "pressure-kilopascal", "MPa": "pressure-megapascal", "bar": "pressure-bar",
    "mbar": "pressure-millibar", "mmHg": "pressure-millimeter-ofhg", "psi": "pressure-pound-force-per-square-inch",
    "N": "force-newton", "B": "digital-byte", "kB": "digital-kilobyte", "KB": "digital-kilobyte",
    "MB": "digital-megabyte", "GB": "digital-gigabyte", "TB": "digital-terabyte", "PB": "digital-petabyte",
    "px": "graphics-pixel", "MP": "graphics-megapixel", "dpi": "graphics-dot-per-inch", "lm": "light-lumen",
    "lx": "light-lux", "cd": "light-candela",
}  # fmt: skip
"""CLDR's names, whose words and plurals Babel has in every language."""

ALIASES = {
    "en": {"hr": "h", "hrs": "h", "mins": "min", "secs": "sec", "yrs": "yr", "in.": "″"},
    "ru": {"км/ч": "km/h", "м/с": "m/s", "км": "km", "м": "m", "см": "cm", "мм": "mm", "кг": "kg", "г": "g", "мг": "mg",
           "т": "t", "л": "l", "мл": "ml", "м²": "m²", "км²": "km²", "м³": "m³", "га": "ha", "ч": "h", "мин": "min",
           "Вт": "W", "кВт": "kW", "кВт·ч": "kWh", "В": "V", "Гц": "Hz", "МГц": "MHz", "ГБ": "GB", "МБ": "MB"},
    "el": {"χλμ": "km", "χλμ.": "km", "εκ.": "cm", "γρ.": "g", "κιλά": "kg"},
    "ar": {"كم": "km", "كغ": "kg", "كجم": "kg", "سم": "cm", "٪": "%"},
    "he": {"ק״מ": "km", 'ק"מ': "km", 'ק"ג': "kg", 'ס"מ': "cm"},
    "hi": {"किमी": "km", "किग्रा": "kg", "सेमी": "cm"},
    "zh": {"公里": "km", "千克": "kg", "％": "%"}, "ja": {"％": "%", "㎏": "kg"}, "fr": {"Go": "GB", "Mo": "MB"},
}  # fmt: skip
"""Signs of units in other scripts and short forms, by language, with the key of `UNITS`."""

ANY_CASE = frozenset({
    "km", "cm", "mm", "kg", "km/h", "mph", "kwh", "khz", "mhz", "ghz", "ml", "gb", "mb", "tb", "ft", "lb", "lbs", "oz",
})  # fmt: skip
"""Of which nothing else is meant in capitals, as in ``5 KM``."""

CURRENCIES = {
    "$": "USD", "€": "EUR", "£": "GBP", "¥": "JPY", "￥": "JPY", "₹": "INR", "₩": "KRW", "₽": "RUB", "₺": "TRY",
    "₫": "VND", "฿": "THB", "₪": "ILS", "₴": "UAH", "₦": "NGN", "₱": "PHP", "₡": "CRC", "₲": "PYG", "₵": "GHS",
    "₸": "KZT", "₮": "MNT", "₼": "AZN", "₾": "GEL", "৳": "BDT", "៛": "KHR", "₭": "LAK", "؋": "AFN", "₿": "BTC",
    "US$": "USD", "A$": "AUD", "AU$": "AUD", "C$": "CAD", "CA$": "CAD", "HK$": "HKD", "NT$": "TWD", "NZ$": "NZD",
    "S$": "SGD", "R$": "BRL", "CN¥": "CNY", "zł": "PLN", "Kč": "CZK", "Ft": "HUF", "руб.": "RUB", "руб": "RUB",
}  # fmt: skip
"""ISO 4217 codes by sign."""

LOCAL_CURRENCIES = {
    "sv": {"kr": "SEK"}, "da": {"kr": "DKK", "kr.": "DKK"}, "no": {"kr": "NOK", "kr.": "NOK"}, "tr": {"TL": "TRY"},
    "ms": {"RM": "MYR"}, "vi": {"đ": "VND", "VNĐ": "VND", "vnđ": "VND"}, "en": {"Rs": "INR", "Rs.": "INR"},
    "de": {"Fr.": "CHF", "SFr.": "CHF", "sFr.": "CHF"},
    "ru": {"р.": "RUB", "р": "RUB", "руб.": "RUB", "руб": "RUB", "грн": "UAH"},
    "hi": {"रु": "INR", "रु.": "INR"},
}  # fmt: skip
"""Signs that mean a currency in one language."""

_CODES = (
    "USD EUR GBP JPY CHF CNY INR KRW RUB TRY VND THB ILS UAH NGN PHP AUD CAD HKD TWD NZD SGD BRL MXN PLN CZK HUF SEK"
    " NOK DKK ZAR AED SAR EGP IDR MYR ARS CLP COP RON BGN KES TZS"
)
CODES = tuple(_CODES.split())
"""ISO 4217 codes that stand beside amounts."""
