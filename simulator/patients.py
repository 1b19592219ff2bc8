"""Invented patients: names, and telephone numbers that belong to nobody (555-0100 to 555-0199 in each area code)."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

_IN_USE = """
    201 202 203 205 206 207 208 209 210 212 213 214 215 216 217 218 219 225 228 229 231 234 239 240 248
    251 252 253 254 256 260 262 267 269 270 276 281 301 302 303 304 305 307 308 309 310 312 313 314 315
    316 317 318 319 320 321 323 330 334 336 352 360 361 386 401 402 404 405 406 407 408 409 410 412 413
    414 415 417 419 423 432 434 435 440 478 479 480 501 502 503 504 505 507 508 509 510 512 513 515
    516 517 518 520 530 540 541 559 561 562 563 570 573 574 580 585 586 601 602 603
"""
AREA_CODES = tuple(_IN_USE.split())
"""Area codes in service, so that the numbers count as valid; 100 numbers each. Not 425, where the organisation's own are."""
_GIVEN = ["Ana", "Beatriz", "Chen", "Daniel", "Ewa", "Farid", "Grace", "Hugo", "Iñés", "Jamal", "Keiko", "Liam"]
_FAMILY = [
    "Alvarez",
    "Brown",
    "Castañeda",
    "Diaz",
    "Evans",
    "Fischer",
    "Garcia",
    "Huang",
    "Ivanova",
    "Johnson",
    "O'Neil",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Patient:
    """Attributes: mrn: number in the hospital's index. phone: E.164. language: ISO 639-2 as senders write it, or ""."""

    mrn: str = field(repr=False)
    given: str = field(repr=False)
    family: str = field(repr=False)
    phone: str = field(repr=False)
    language: str


def fictitious_number(index: int) -> str:
    """The index-th number, E.164; all different for 0 <= index < 100 x len(AREA_CODES), then again from the first."""
    area = AREA_CODES[index // 100 % len(AREA_CODES)]
    return f"+1{area}55501{index % 100:02d}"


def make_patient(rng: random.Random, index: int) -> Patient:
    return Patient(
        mrn=f"{1_000_000 + index}",
        given=rng.choice(_GIVEN),
        family=rng.choice(_FAMILY),
        phone=fictitious_number(index),
        language=rng.choices(["eng", "spa", ""], [6, 3, 1])[0],
    )
