"""What no form may ask: who somebody is, what they believe, what they live with."""

import re
import unicodedata

WORDS = re.compile(
    r"\b(?:"
    # English
    r"identit\w*|identif\w*|diagnos\w*|disabilit\w*|disabled|disorders?|autis\w*|adhd|hiv"
    r"|illness\w*|diseases?|medical\w*|mental health|pregnan\w*|pronouns?|gender\w*|sex|sexual\w*"
    r"|transgender\w*|nonbinary|non-binary|orientations?|gay|lesbians?|bisexual\w*|queer"
    r"|religi\w*|faiths?|church\w*|mosques?|synagogues?|worship\w*|beliefs?|pray\w*"
    r"|races?|racial\w*|ethnic\w*|skin colou?r|nationalit\w*|immigra\w*|citizenship|ancest\w*"
    # Spanish, without accents
    r"|identidad\w*|discapaci\w*|trastornos?|enferm\w*|medic[oa]s?|salud mental|embaraz\w*"
    r"|pronombres?|generos?|sexo|transgener\w*|no binari[oa]s?|orientacion\w*"
    r"|lesbianas?|fe|iglesias?|mezquitas?|sinagogas?|creencias?|rezar|rezas?"
    r"|razas?|etni[ac]\w*|color de piel|nacionalidad\w*|inmigra\w*|ciudadanias?|ascendencias?"
    r")\b"
)


def asks_too_much(text: str) -> bool:
    """Tell whether words ask identity, diagnosis, pronouns, religion, race or orientation."""
    spread = unicodedata.normalize("NFKD", text.casefold())
    plain = "".join(c for c in spread if unicodedata.category(c) not in {"Mn", "Cf"})
    return WORDS.search(" ".join(plain.split())) is not None
