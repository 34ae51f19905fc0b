"""Colours and shapes of the methods, the same in the plot and on the page, light and dark."""

# (light, dark); all at least 4.5:1 against the ground that they lie on
_COLOURS = (
    ("#56616d", "#aab5c0"),  # the baseline's: neutral, others are compared with it
    ("#0b62c4", "#6cb1ff"),
    ("#b9420a", "#ff9d61"),
    ("#0c7a53", "#4fd1a0"),
    ("#9430a8", "#dc9ff2"),
    ("#b4124f", "#ff86aa"),
    ("#00717c", "#4dd0d9"),
    ("#786000", "#dcc04c"),
    ("#5546cf", "#aba0ff"),
)
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
_LIGHT, _DARK = 0, 1
FONT = "system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif"
_SVG = (  # (selector, declarations for light and for dark)
    (".ground", ("fill:#fff", "fill:#171d24")),
    (".grid", ("stroke:#e6e9ed", "stroke:#28313a")),
    (".axis", ("stroke:#87919c", "stroke:#6c7884")),
    (".tick,.hint", ("fill:#55606d", "fill:#9fabb7")),
    (".title,.key,.label", ("fill:#18222d", "fill:#e6ebf0")),
    (".label", ("stroke:#fff", "stroke:#171d24")),
    (".leader", ("stroke:#87919c", "stroke:#6c7884")),
    (".front", ("stroke:#18222d", "stroke:#e6ebf0")),
    (".beaten", ("fill:#18222d", "fill:#e6ebf0")),
    (".point path", ("stroke:#fff", "stroke:#171d24")),
)


def colour(style: int) -> int:
    """Number of the colour class ``m0``, ``m1``, … of a method; only the baseline has ``m0``."""
    return (style - 1) % (len(_COLOURS) - 1) + 1 if style else 0


def shape(style: int) -> str:
    """Path data around the origin; methods that share a colour differ in shape."""
    return _SHAPES[(style + max(style - 1, 0) // (len(_COLOURS) - 1)) % len(_SHAPES)]


def svg_css() -> str:
    """Style of the plot, spelt out without variables: some SVG viewers know none."""
    fixed = (
        f".edgekd-plot{{font:13px {FONT};font-variant-numeric:tabular-nums}}"
        ".edgekd-plot .grid,.edgekd-plot .axis,.edgekd-plot .leader{fill:none;stroke-width:1}"
        ".edgekd-plot .front{fill:none;stroke-width:1.6;stroke-linejoin:round}"
        ".edgekd-plot .beaten{opacity:.045}"
        ".edgekd-plot .title,.edgekd-plot .label{font-weight:600}"
        ".edgekd-plot .label{paint-order:stroke;stroke-width:4px;stroke-linejoin:round}"
        ".edgekd-plot .point path{stroke-width:1.5;paint-order:stroke}"
        ".edgekd-plot .touch{fill:transparent}"
        ".edgekd-plot .point:hover path{stroke-width:4}"
    )
    return fixed + _svg_rules(_LIGHT) + f"@media screen and (prefers-color-scheme:dark){{{_svg_rules(_DARK)}}}"


def _svg_rules(mode: int) -> str:
    ground = ("#fff", "#171d24")[mode]
    rules = [
        ",".join(f".edgekd-plot {one}" for one in selector.split(",")) + f"{{{declarations[mode]}}}" for selector, declarations in _SVG
    ]
    for index, pair in enumerate(_COLOURS):
        rules.append(f".edgekd-plot .m{index}{{fill:{pair[mode]}}}")
        rules.append(f".edgekd-plot .m{index}.hollow{{fill:{ground};stroke:{pair[mode]};stroke-width:2;paint-order:normal}}")
    return "".join(rules)


def page_css() -> str:
    """The custom property ``--method`` of every colour class, for the page around the plot."""
    rules = ["".join(f".m{index}{{--method:{pair[mode]}}}" for index, pair in enumerate(_COLOURS)) for mode in (_LIGHT, _DARK)]
    return f"{rules[_LIGHT]}@media screen and (prefers-color-scheme:dark){{{rules[_DARK]}}}"
