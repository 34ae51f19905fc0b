"""Colours and shapes of the methods, the same in the plot and on the page, light and dark."""

from markupsafe import Markup

COLOURS = (  # (light, dark)
    ("#6b7580", "#aab5c0"),  # the baseline's: neutral, others are compared with it
    ("#1045a3", "#1767c4"),
    ("#a05a15", "#fdae5f"),
    ("#053816", "#acfad9"),
    ("#7b195e", "#ba3968"),
    ("#bb894d", "#a5871b"),
    ("#5b96db", "#2c96ec"),
)
"""The hues of Okabe and Ito's palette (Color Universal Design, 2008), their lightness and chroma searched for the largest distance of the
closest two, as people with each of the three dichromacies see them (Machado et al. 2009) too: 0.12 in OKLab against 0.076 of the original,
with at least 3:1 against the ground. More methods than colours share one and differ in shape."""
_SHAPES = (
    "M-5.5-5.5H5.5V5.5H-5.5Z",  # square
    "M-6.5 0A6.5 6.5 0 1 0 6.5 0A6.5 6.5 0 1 0-6.5 0Z",  # disc
    "M0-7.5L7 5.5H-7Z",  # triangle
    "M0-8L8 0L0 8L-8 0Z",  # diamond
    "M0 7.5L7-5.5H-7Z",  # triangle, point down
    "M-2.5-7H2.5V-2.5H7V2.5H2.5V7H-2.5V2.5H-7V-2.5H-2.5Z",  # plus
    "M0-7.5L6.5-3.75V3.75L0 7.5L-6.5 3.75V-3.75Z",  # hexagon
    "M0-8.5L2.2-2.8L8.2-2.6L3.5 1.2L5.1 7L0 3.6L-5.1 7L-3.5 1.2L-8.2-2.6L-2.2-2.8Z",  # star
)
FONT = "system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif"
STYLE = {"colours": COLOURS, "font": Markup(FONT)}
"""What the style sheets' templates are filled with."""


def colour(style: int) -> int:
    """Number of the colour class ``m0``, ``m1``, … of a method; only the baseline has ``m0``."""
    return (style - 1) % (len(COLOURS) - 1) + 1 if style else 0


def marker(style: int) -> int:
    """Number of the shape of a method: square, disc, triangle, …; methods that share a colour differ in it."""
    return (style + max(style - 1, 0) // (len(COLOURS) - 1)) % len(_SHAPES)


def shape(style: int) -> str:
    """Path data of a method's shape, around the origin."""
    return _SHAPES[marker(style)]
