"""Text as an eye reads it: without invisible characters, look-alike letters as plain ones."""

import re
import unicodedata
from functools import cache
from typing import Final

from belong_mail.mail.message.headers import decoded_words

_PAIRS: Final = (
    # Latin and Cyrillic
    "ßb ԍg"
    " аa вb еe зe иu йu кk мm нh оo пn рp сc тt уy хx ьb бb гr яr ѕs іi јj һh ԁd ԛq ԝw ӏi эe шw цu"
    " АA ВB ЕE КK МM НH ОO РP СC ТT УY ХX ЅS ІI ЈJ ԀD ԚQ ԜW ӀI ԌG ЬB ЯR ГR ИN ЗE"
    # Greek
    " αa βb γy δd εe ζz ηn ιi κk λa μu νv ξe οo πn ρp σo ςs τt υu χx ωw"
    " ΑA ΒB ΓR ΔA ΕE ΖZ ΗH ΘO ΙI ΚK ΛA ΜM ΝN ΞE ΟO ΡP ΣE ΤT ΥY ΧX ΩO"
    # Armenian, Cherokee, Lisu
    " օo սu հh ոn ցg զq ԼL ՏS ՍU ՕO ԱU"
    " ᎪA ᏴB ᏟC ᎠD ᎬE ᏀG ᏳG ᎻH ᎥI ᎫJ ᏦK ᏞL ᎷM ᏃZ ᏢP ᏒR ᎡR ᏚS ᎢT ᏙV ᎳW ᎩY"
    " ꓮA ꓐB ꓚC ꓓD ꓰE ꓝF ꓖG ꓧH ꓲI ꓙJ ꓗK ꓡL ꓟM ꓠN ꓳO ꓑP ꓣR ꓢS ꓔT ꓴU ꓦV ꓪW ꓫX ꓬY ꓜZ"
)


_LOOKALIKES: Final = {ord(pair[0]): pair[1] for pair in _PAIRS.split()}
# What is not to be seen although it counts as a letter, a mark or a symbol.
_INVISIBLE: Final = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
# Spaces that hardly part what they stand between.
_THIN: Final = re.compile("[\u2000-\u200a\u202f\u205f]")
_LETTER: Final = re.compile(r".*(?:LATIN|REGIONAL INDICATOR|SANS-SERIF).* ([A-Z])(?: WITH .*)?")
# Digits and signs in the place of letters.
_SIGNS: Final = str.maketrans("013456789@$€!|+£₤¢₿฿₮¥₩§†⊤", "oleasgtbgaseiltllcbbtywstt")
# What looks the same in many typefaces.
_SAME: Final = (("l", "i"), ("vv", "w"), ("rn", "m"))
_CAMEL: Final = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Za-z])(?=\d)|(?<=\d)(?=[A-Za-z])")
_SINGLE: Final = re.compile(r"(?<=\b\w) (?=\w\b)")
# What cannot be seen, and has letters shown in another order than they are written in.
_TURNING: Final = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


# What families here write in; letters of other scripts come as look-alikes.
_SCRIPTS: Final = frozenset((
    "LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "GEORGIAN", "HEBREW", "ARABIC", "ETHIOPIC",
    "DEVANAGARI", "BENGALI", "GURMUKHI", "GUJARATI", "TAMIL", "TELUGU", "KANNADA", "MALAYALAM",
    "SINHALA", "THAI", "LAO", "TIBETAN", "MYANMAR", "KHMER", "HANGUL", "HIRAGANA", "KATAKANA",
    "BOPOMOFO", "CJK", "IDEOGRAPHIC",
))  # fmt: skip


# Scripts whose letters look like one another's: nobody mixes them in a word but to disguise it.
_ALIKE: Final = frozenset(("LATIN", "CYRILLIC", "GREEK", "ARMENIAN"))
_WITHIN: Final = re.compile(r"(?<=\w)[^\w\s]+(?=\w)")


def skeleton(text: str) -> str:
    """Return a text's words in plain lower-case letters, with one spelling for what looks alike."""
    return _bare(_plain(text))


def readings(text: str) -> set[str]:
    """Return the skeletons of all that an eye may read in a text.

    Letters that stand alone are also read together, digits and signs also as letters, words also
    without the signs in them, and an encoded word (RFC 2047) also as what it says.
    """
    found = set()
    for each in {text, _THIN.sub("", text), *decoded_words(text)}:
        plain = _plain(each)
        ways = (plain, _CAMEL.sub(" ", plain), _WITHIN.sub("", plain), _signs(plain))
        found |= {_bare(way) for way in ways}
    return found | {_SINGLE.sub("", each) for each in found}


def unreadable(text: str) -> str:
    """Return a word of which `readings` may not know what an eye reads in it; or nothing.

    It holds Latin letters beside others, letters of a script that nobody here writes, or Braille;
    or something that cannot be seen turns the order of its letters.
    """
    turning = _TURNING.search(text)
    if turning and re.search("[A-Za-z]", _plain(text)):
        return f"U+{ord(turning[0]):04X}"
    words = unicodedata.normalize("NFKD", text).split()
    return next((each for each in words if _is_doubtful(each)), "")


def _is_doubtful(word: str) -> bool:
    letters = [each for each in word if unicodedata.category(each) in {"Lu", "Ll", "Lt", "Lo"}]
    scripts = {re.split("[ -]", unicodedata.name(each, ""))[0] for each in letters}
    is_mixed = len(scripts) > 1 and not scripts.isdisjoint(_ALIKE)
    is_odd = any(not _plain(each).isascii() for each in letters) and "LATIN" in scripts
    is_braille = any("\u2800" < each <= "\u28ff" for each in word)
    return is_mixed or is_odd or is_braille or not scripts <= _SCRIPTS


def _bare(plain: str) -> str:
    words = " ".join(re.findall("[a-z0-9]+", plain.lower()))
    for seen, said in _SAME:
        words = words.replace(seen, said)
    return words


@cache
def _letter(character: str) -> str:
    """Return a character as a plain letter, nothing for what cannot be seen, or as it is."""
    category = unicodedata.category(character)
    if category[0] == "M" or category == "Cf" or character in _INVISIBLE:
        return ""
    named = _LETTER.fullmatch(unicodedata.name(character, ""))
    return named[1].lower() if named else character


def _plain(text: str) -> str:
    known = unicodedata.normalize("NFKD", text).translate(_LOOKALIKES)
    return "".join(each if each.isascii() else _letter(each) for each in known)


def _signs(plain: str) -> str:
    """Read digits and signs within words as the letters they stand for."""
    words = plain.split()
    return " ".join(
        each.translate(_SIGNS) if re.search("[A-Za-z]", each) else each for each in words
    )
