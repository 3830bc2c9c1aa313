"""Emoji that OpenMoji draws exactly alike at 64 px though Unicode tells them apart, found in the renders of 17.0.0.

A test renders them all and holds this table against the pictures.
"""

from __future__ import annotations

_GROUPS: tuple[tuple[str, ...], ...] = (
    ("1F1E6-1F1FA", "1F1ED-1F1F2"),  # flag: Australia
    ("1F1E8-1F1F5", "1F1EB-1F1F7", "1F1F2-1F1EB"),  # flag: Clipperton Island
    ("1F1EA-1F1E6", "1F1EA-1F1F8"),  # flag: Ceuta & Melilla
    ("1F1EE-1F1E9", "1F1F2-1F1E8"),  # flag: Indonesia
    ("1F1F3-1F1F4", "1F1F8-1F1EF"),  # flag: Norway
    ("1F1F7-1F1F4", "1F1F9-1F1E9"),  # flag: Romania
    ("1F468-200D-1F33E", "1F9D1-200D-1F33E"),  # man farmer
    ("1F468-200D-1F373", "1F9D1-200D-1F373"),  # man cook
    ("1F468-200D-1F393", "1F9D1-200D-1F393"),  # man student
    ("1F468-200D-1F3A8", "1F9D1-200D-1F3A8"),  # man artist
    ("1F468-200D-1F3ED", "1F9D1-200D-1F3ED"),  # man factory worker
    ("1F468-200D-1F469-200D-1F466", "1F46A"),  # family: man, woman, boy
    ("1F468-200D-1F527", "1F9D1-200D-1F527"),  # man mechanic
    ("1F468-200D-1F680", "1F9D1-200D-1F680"),  # man astronaut
    ("1F468-200D-1F692", "1F9D1-200D-1F692"),  # man firefighter
    ("1F468-200D-1F9AF", "1F9D1-200D-1F9AF"),  # man with white cane
    ("1F468-200D-1F9AF-200D-27A1", "1F9D1-200D-1F9AF-200D-27A1"),  # man with white cane: facing right
    ("1F468-200D-1F9B1", "1F9D1-200D-1F9B1"),  # man: curly hair
    ("1F468-200D-1F9B2", "1F9D1-200D-1F9B2"),  # man: bald
    ("1F468-200D-1F9BC", "1F9D1-200D-1F9BC"),  # man in motorized wheelchair
    ("1F468-200D-1F9BC-200D-27A1", "1F9D1-200D-1F9BC-200D-27A1"),  # man in motorized wheelchair: facing right
    ("1F468-200D-1F9BD", "1F9D1-200D-1F9BD"),  # man in manual wheelchair
    ("1F468-200D-1F9BD-200D-27A1", "1F9D1-200D-1F9BD-200D-27A1"),  # man in manual wheelchair: facing right
    ("1F468-200D-2708", "1F9D1-200D-2708"),  # man pilot
    ("1F469-200D-2764-200D-1F468", "1F491"),  # couple with heart: woman, man
    ("1F469-200D-2764-200D-1F48B-200D-1F468", "1F48F"),  # kiss: woman, man
    ("1F473", "1F473-200D-2640"),  # person wearing turban
    ("1F6B6", "1F6B6-200D-2642"),  # person walking
    ("1F6B6-200D-2642-200D-27A1", "1F6B6-200D-27A1"),  # man walking: facing right
    ("1F7E6", "20E3"),  # blue square
    ("1F93C", "1F93C-200D-2642"),  # people wrestling
    ("1F9CD", "1F9CD-200D-2642"),  # person standing
    ("1F9CE", "1F9CE-200D-2642"),  # person kneeling
    ("1F9CE-200D-2642-200D-27A1", "1F9CE-200D-27A1"),  # man kneeling: facing right
)

DRAWN_ALIKE: dict[str, str] = {code: group[0] for group in _GROUPS for code in group[1:]}
"""Plain code of a base emoji -> plain code of the one whose family it joins."""
