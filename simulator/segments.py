"""How many SMS segments Twilio would bill; the simulator's own count, sharing nothing with the one it checks.

3GPP TS 23.038: GSM-7 holds 160 septets, 153 in each part of a longer text, an extension character takes two and is not
split between parts; anything outside the alphabet makes the whole text UCS-2: 70 code units, 67 in parts.
"""

from __future__ import annotations

_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENDED = frozenset("\f^{}\\[~]|€")


def count_segments(body: str) -> int:
    """Segments of a text; an empty one is one segment."""
    if all(c in _BASIC or c in _EXTENDED for c in body):
        sizes, whole, part = [2 if c in _EXTENDED else 1 for c in body], 160, 153
    else:
        sizes, whole, part = [2 if ord(c) > 0xFFFF else 1 for c in body], 70, 67
    if sum(sizes) <= whole:
        return 1
    parts, room = 1, part
    for size in sizes:
        if size > room:
            parts, room = parts + 1, part
        room -= size
    return parts
