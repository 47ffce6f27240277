"""Colours of the data-health page."""

from collections.abc import Mapping

from model.pictures.html_style import BASE_DARK, BASE_LIGHT

BLUE, ORANGE, GREEN, PURPLE, RED, GREY, TEAL = (
    "#1f5fd0",
    "#d0701f",
    "#23876a",
    "#8a63b8",
    "#c2362b",
    "#8d96a3",
    "#2f9fb5",
)
REASON_COLOURS = (BLUE, ORANGE, GREEN, PURPLE, RED, TEAL, GREY)
_NAMES = ("blue", "orange", "green", "purple", "red", "grey", "teal")

LIGHT: Mapping[str, str] = {
    **BASE_LIGHT,
    **dict(zip(_NAMES, (BLUE, ORANGE, GREEN, PURPLE, RED, GREY, TEAL), strict=True)),
}
DARK: Mapping[str, str] = {
    **BASE_DARK,
    "blue": "#6fa3ff",
    "orange": "#f0a35e",
    "green": "#5cc7a2",
    "purple": "#bd9ae6",
    "red": "#ff8a80",
    "grey": "#7d8796",
    "teal": "#69cfe0",
}
