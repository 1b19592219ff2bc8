"""A patient's language (PID-15, HL7 table 0296: ISO 639 codes) as a BCP 47 tag.

Source: ISO 639-2 with both its bibliographic and terminological codes, BCP 47 (RFC 5646): the shortest code of a language is
its tag. Senders write `eng`, `EN`, `en-US`, `spa^Spanish`, or words of their own, which field maps list.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from config.fieldmap import folded

# Three-letter codes of the languages that have a two-letter one.
_PAIRS: Final = """
    aar:aa abk:ab afr:af aka:ak alb:sq sqi:sq amh:am ara:ar arg:an arm:hy hye:hy asm:as ava:av ave:ae aym:ay aze:az bak:ba
    bam:bm baq:eu eus:eu bel:be ben:bn bis:bi bos:bs bre:br bul:bg bur:my mya:my cat:ca cha:ch che:ce chi:zh zho:zh
    cmn:zh chu:cu chv:cv cor:kw cos:co cre:cr cze:cs ces:cs dan:da div:dv dut:nl nld:nl dzo:dz eng:en epo:eo est:et ewe:ee
    fao:fo fij:fj fin:fi fre:fr fra:fr fry:fy ful:ff geo:ka kat:ka ger:de deu:de gla:gd gle:ga glg:gl glv:gv gre:el ell:el
    grn:gn guj:gu hat:ht hau:ha heb:he her:hz hin:hi hmo:ho hrv:hr hun:hu ibo:ig ice:is isl:is ido:io iii:ii iku:iu ile:ie
    ina:ia ind:id ipk:ik ita:it jav:jv jpn:ja kal:kl kan:kn kas:ks kau:kr kaz:kk khm:km kik:ki kin:rw kir:ky kom:kv kon:kg
    kor:ko kua:kj kur:ku lao:lo lat:la lav:lv lim:li lin:ln lit:lt ltz:lb lub:lu lug:lg mac:mk mkd:mk mah:mh mal:ml mao:mi
    mri:mi mar:mr may:ms msa:ms mlg:mg mlt:mt mon:mn nau:na nav:nv nbl:nr nde:nd ndo:ng nep:ne nno:nn nob:nb nor:no nya:ny
    oci:oc oji:oj ori:or orm:om oss:os pan:pa per:fa fas:fa pli:pi pol:pl por:pt pus:ps que:qu roh:rm rum:ro ron:ro run:rn
    rus:ru sag:sg san:sa sin:si slo:sk slk:sk slv:sl sme:se smo:sm sna:sn snd:sd som:so sot:st spa:es srd:sc srp:sr ssw:ss
    sun:su swa:sw swe:sv tah:ty tam:ta tat:tt tel:te tgk:tg tgl:tl tha:th tib:bo bod:bo tir:ti ton:to tsn:tn tso:ts tuk:tk
    tur:tr twi:tw uig:ug ukr:uk urd:ur uzb:uz ven:ve vie:vi vol:vo wel:cy cym:cy wln:wa wol:wo xho:xh yid:yi yor:yo zha:za
    zul:zu
    """
_SHORT: Final[dict[str, str]] = dict(pair.split(":") for pair in _PAIRS.split())
# Spoken by many patients, and without a two-letter code.
_LONG_ONLY: Final = frozenset(
    {"ase", "ceb", "chk", "chr", "fil", "haw", "hmn", "ilo", "kar", "mam", "mnk", "nah", "quc", "syr", "yue"}
)
_KNOWN: Final = frozenset(_SHORT.values()) | _LONG_ONLY
_TAG: Final = re.compile(r"(?P<language>[A-Za-z]{2,3})(?P<rest>(?:[-_][A-Za-z0-9]{2,8}){0,3})")


def language_tag(code: str, words: Mapping[str, str]) -> str | None:
    """The BCP 47 tag for a sender's code or word; None: not known (`UNK`, `declined`).

    Args:
        words: local codes and words, folded, to tags.
    """
    from_map = words.get(folded(code))
    return from_map if from_map is not None else _tag(code.strip()[:40])


@lru_cache(maxsize=512)
def _tag(code: str) -> str | None:
    match = _TAG.fullmatch(code)
    if match is None:
        return None
    language = match["language"].lower()
    language = _SHORT.get(language, language)
    if language not in _KNOWN:
        return None
    return "-".join((language, *(_cased(part) for part in re.findall("[A-Za-z0-9]+", match["rest"]))))


def _cased(subtag: str) -> str:
    """RFC 5646, 2.1.1: a region in capitals, a script with one, the rest in small letters."""
    if len(subtag) == 2:
        return subtag.upper()
    return subtag.title() if len(subtag) == 4 and subtag.isalpha() else subtag.lower()
