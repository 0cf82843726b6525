"""The languages that espeak-ng 1.52 speaks, as BCP 47 tags; a test compares them with the library's list."""

__all__ = ["LANGUAGES"]

# fmt: off
LANGUAGES: tuple[str, ...] = (
    # The default first: American English, which both "en" and no language at all mean. British is "en-gb".
    "en-us", "en", "af", "am", "an", "ar", "as", "az", "ba", "be", "bg", "bn", "bpy", "bs", "ca", "ca-ba",
    "ca-nw", "ca-va", "chr-US-Qaaa-x-west", "cmn", "cmn-latn-pinyin", "cs", "cv", "cy", "da", "de", "el",
    "en-029", "en-gb", "en-gb-scotland", "en-gb-x-gbclan", "en-gb-x-gbcwmd", "en-gb-x-rp", "en-shaw",
    "en-us-nyc", "eo", "es", "es-419", "es-mx", "et", "eu", "fa", "fa-latn", "fi", "fr", "fr-be",
    "fr-ch", "fr-fr", "ga", "gd", "gn", "grc", "gu", "hak", "haw", "hbs", "he", "hi", "hr", "ht", "hu",
    "hy", "hy-arevela", "hy-arevmda", "hyw", "ia", "id", "io", "is", "it", "ja", "jbo", "ka", "kk",
    "kl", "kn", "ko", "kok", "ku", "ky", "la", "lb", "lfn", "lt", "ltg", "lv", "mi", "mk", "ml", "mr", "ms",
    "mt", "mto", "my", "nb", "nci", "ne", "nl", "no", "nog", "om", "or", "pa", "pap", "piqd", "pl", "pt",
    "pt-br", "pt-pt", "py", "qdb", "qu", "quc", "qya", "ro", "ru", "ru-cl", "ru-lv", "sd", "shn", "si",
    "sjn", "sk", "sl", "smj", "sq", "sr", "sv", "sw", "ta", "te", "th", "ti", "tk", "tn", "tr", "tt", "ug",
    "uk", "ur", "uz", "vi", "vi-vn-x-central", "vi-vn-x-south", "yue", "zh", "zh-cmn", "zh-yue",
)
# fmt: on
