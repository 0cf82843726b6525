from realtts.listening.account import (
    Added as Added,
    Changed as Changed,
    Missing as Missing,
    WordAccount as WordAccount,
    account_of as account_of,
)
from realtts.listening.heard import (
    Heard as Heard,
    HeardWord as HeardWord,
    Recognizer as Recognizer,
)
from realtts.listening.hearing import (
    Hearing as Hearing,
    listen as listen,
)
from realtts.listening.ratings import (
    MEASURES as MEASURES,
    Rating as Rating,
    rate as rate,
)
from realtts.listening.recognizer import (
    find_recognizer as find_recognizer,
)
from realtts.listening.texts import (
    STRATA as STRATA,
    ListeningText as ListeningText,
    listening_texts as listening_texts,
)
from realtts.listening.timing import (
    word_marks as word_marks,
)
