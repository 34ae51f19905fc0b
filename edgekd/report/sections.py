"""The parts of the page around the table: the front, IoU a class, how it was measured."""

from collections.abc import Sequence

from edgekd.report.markup import ABSENT, listing, milliseconds, percent, plural, text, unique
from edgekd.report.palette import colour
from edgekd.report.pareto import front_rows, plottable
from edgekd.report.pictures import swatch
from edgekd.report.rows import Row

_BARS = 12
_FRONT = '<section id="front"><h2>Accuracy and latency</h2>'


def front_section(rows: Sequence[Row], plots: str) -> str:
    """The plot, and its front as a list."""
    if not plots:
        return f"{_FRONT}<p>No measurement has an accuracy, so there is nothing to plot.</p></section>"
    front, shown = front_rows(rows), plottable(rows)
    entries = "".join(
        f'<li><span class="name m{colour(row.style)}"><b>{text(row.label)}</b>'
        f'<span class="figures">{milliseconds(row.p50)} ms · {percent(row.miou)} %</span></span></li>'
        for row in front
    )
    absent = len(rows) - len(shown)
    left_out = f" {plural(absent, 'row')} without accuracy or latency {'is' if absent == 1 else 'are'} in the table only." if absent else ""
    mixed = " The latencies come from several devices." if len({row.device for row in shown}) > 1 else ""
    return (
        f'{_FRONT}<div class="plot">{plots}<div class="front"><h3>On the Pareto front</h3><ol>{entries}</ol>'
        f'<p class="dim">No measured model is both faster and more accurate than one of these.{mixed}{left_out}</p></div></div></section>'
    )


def classes_section(rows: Sequence[Row]) -> str:
    """IoU of every class as bars, one a model; a group of cards for each set of classes."""
    scored = [row for row in rows if row.iou]
    if not scored:
        return ""
    parts = []
    for classes in unique(row.classes for row in scored):
        members = [row for row in scored if row.classes == classes]
        shown = _most_telling(members)
        if len(members) > len(shown):
            parts.append(f'<p class="dim">The {len(shown)} most accurate of {len(members):,}; the others are in the results file.</p>')
        cards = [_card("All classes, mean", [(row, row.miou) for row in shown])]
        for index, (name, paint) in enumerate(zip(classes.names, classes.palette, strict=True)):
            cards.append(_card(swatch(paint) + text(name), [(row, row.iou[index]) for row in shown]))
        parts.append(f'<div class="cards">{"".join(cards)}</div>')
    return f'<section id="classes"><h2>IoU by class</h2>{"".join(parts)}</section>'


def _most_telling(rows: Sequence[Row]) -> list[Row]:
    """The most accurate rows, as many as can be read, in their own order."""
    kept = sorted(range(len(rows)), key=lambda index: -(rows[index].miou or 0.0))[:_BARS]
    return [rows[index] for index in sorted(kept)]


def _card(heading: str, bars: Sequence[tuple[Row, float | None]]) -> str:
    best = max((value for _, value in bars if value is not None), default=None)
    lines = []
    for row, value in bars:
        figure = f"<b>{percent(value, 1)}</b>" if value is not None and value == best and len(bars) > 1 else percent(value, 1)
        bar = "" if value is None else f'<span class="bar m{colour(row.style)}" style="width:{100 * value:.1f}%"></span>'
        label = text(row.label)
        lines.append(
            f'<li><span class="name" title="{label}">{label}</span><span class="track">{bar}</span>'
            f'<span class="figure">{figure}</span></li>'
        )
    return f'<div class="card"><h3>{heading}</h3><ul>{"".join(lines)}</ul></div>'


_STAGES = (
    "<b>Network</b> is the bare call, at the network’s input size. <b>End to end</b> adds the decoding where there is a file, the resize "
    "before it and the class map at the image’s own size after it."
)
_PERCENTILES = (
    "Of N ascending times, the p-th percentile is <code>sorted[max(N-1-int((1-p/100)*N), 0)]</code>; throughput is calls over wall time."
)
_NUMBER = ' class="number"'
_FILE_HEADS = (
    *((head, "") for head in ("Row", "File", "SHA-256", "Backend", "Threads")),
    *((head, _NUMBER) for head in ("Network calls", "Images")),
    ("Date", ""),
)


def method_section(rows: Sequence[Row]) -> str:
    """How it was measured: enough to do it again."""
    timings = (
        f"{one.warmup_s:g} s warm-up, then at least {one.seconds:g} s and {one.iterations:g} calls of each stage in {one.rounds:g} rounds "
        "in which the models take turns"
        for one in unique(row.timing for row in rows)
    )
    facts = [
        ("Timing", listing(timings, 3)),
        ("Stages", _STAGES),
        ("Percentiles", _PERCENTILES),
        ("Accuracy", _images(rows)),
        ("Threads", listing(_threads(row) for row in rows)),
        ("Backends", listing(f"{row.backend} {row.backend_version}" for row in rows)),
        ("Devices", listing(_device(row) for row in rows)),
        ("Dates", _dates(rows)),
    ]
    listed = "".join(f"<dt>{title}</dt><dd>{words}</dd>" for title, words in facts)
    heads = "".join(f'<th scope="col"{kind}>{head}</th>' for head, kind in _FILE_HEADS)
    return (
        f'<section id="method"><h2>How it was measured</h2><dl>{listed}</dl><h3>Files</h3>'
        '<div class="scroll" role="region" aria-label="Files" tabindex="0"><table>'
        f"<thead><tr>{heads}</tr></thead><tbody>{''.join(_file(row) for row in rows)}</tbody></table></div></section>"
    )


def _images(rows: Sequence[Row]) -> str:
    counts = unique(row.images for row in rows if row.miou is not None)
    if not counts:
        return "Not measured."
    numbers = " or ".join(f"{count:,}" for count in counts[:6])
    return f"mIoU over {numbers} labelled images, of the classes that occur, at the labels’ own size."


def _threads(row: Row) -> str:
    return str(row.threads) if row.threads else "the backend’s default"


def _device(row: Row) -> str:
    known = [("cores", "{} cores"), ("system", "{}"), ("python", "Python {}"), ("numpy", "NumPy {}"), ("edgekd_runtime", "edgekd {}")]
    return "; ".join([row.device, *(pattern.format(row.machine[key]) for key, pattern in known if row.machine.get(key))])


def _dates(rows: Sequence[Row]) -> str:
    dates = sorted(row.date for row in rows)
    return text(dates[0]) if dates[0] == dates[-1] else f"{text(dates[0])} to {text(dates[-1])}"


def _file(row: Row) -> str:
    calls = f"{row.network.count:,.0f}" if row.network else ABSENT
    images = f"{row.images:,}" if row.images else ABSENT
    return (
        f'<tr><th scope="row">{text(row.label)}</th><td><code>{text(row.path)}</code></td>'
        f"<td><code>{text(row.sha256[:12])}</code></td>"
        f"<td>{text(row.backend)} {text(row.backend_version)}</td><td>{text(_threads(row))}</td>"
        f"<td{_NUMBER}>{calls}</td><td{_NUMBER}>{images}</td><td>{text(row.date)}</td></tr>"
    )
