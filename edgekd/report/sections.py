"""The parts of the page around the table: the front, IoU a class, how it was measured."""

from collections.abc import Sequence

from edgekd.report.markup import ABSENT, listing, milliseconds, percent, plural, scrolling, significant, text, unique
from edgekd.report.palette import colour
from edgekd.report.pareto import front_rows, plottable
from edgekd.report.pictures import swatch
from edgekd.report.row import Row, score_names, several_data_sets
from edgekd.report.stages import Histogram, histograms
from edgekd_runtime.artifact import AGREEMENT

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
    mixed += " The scores are of several data sets." if several_data_sets(shown) else ""
    return (
        f'{_FRONT}<div class="plot">{plots}<div class="front"><h3>On the Pareto front</h3><ol>{entries}</ol>'
        f'<p class="dim">No measured model is both faster and more accurate than one of these.{mixed}{left_out}</p></div></div></section>'
    )


def histograms_section(rows: Sequence[Row]) -> str:
    """How the calls spread: a card a model, of as many as can be read."""
    recorded = [row for row in rows if histograms(row)]
    if not recorded:
        return ""
    shown = _first([*front_rows(recorded), *sorted(recorded, key=lambda row: row.p50)], recorded)
    cards = "".join(
        f'<div class="card m{colour(row.style)}"><h3>{text(row.label)}</h3>{"".join(_histogram(one) for one in histograms(row))}</div>'
        for row in shown
    )
    return (
        f'<section id="histograms"><h2>Latency histograms</h2>{_left_out(shown, recorded)}<div class="cards">{cards}</div>'
        '<p class="dim">From the fastest call over the median (the line) to p95; the last bar holds the slower calls too.</p></section>'
    )


def _histogram(one: Histogram) -> str:
    return (
        f'<figure><svg class="histogram" viewBox="0 0 100 40" preserveAspectRatio="none" role="img" aria-label="{text(one.words)}">'
        f'<path class="bars" d="{one.path}"/><path class="median" d="M{one.median:g} 0V40"/></svg>'
        f"<figcaption><b>{text(one.title)}</b> {text(one.words)}</figcaption></figure>"
    )


def _first(wanted: Sequence[Row], rows: Sequence[Row]) -> list[Row]:
    """The first few that are wanted, as many as can be read, in the rows' own order."""
    kept = set(unique(row.label for row in wanted)[:_BARS])
    return [row for row in rows if row.label in kept]


def _left_out(shown: Sequence[Row], rows: Sequence[Row]) -> str:
    if len(shown) == len(rows):
        return ""
    return f'<p class="dim">{len(shown)} of {len(rows):,}; select a name in the table, or a point in the plot, for another.</p>'


def classes_section(rows: Sequence[Row]) -> str:
    """IoU of every class as bars, one a model; a group of cards for each set of classes."""
    scored = [row for row in rows if row.iou]
    if not scored:
        return ""
    parts = []
    for classes in unique(row.classes for row in scored):
        members = [row for row in scored if row.classes == classes]
        shown = _first(sorted(members, key=lambda row: -(row.miou or 0.0)), members)
        parts.append(_left_out(shown, members))
        cards = [_card("All classes, mean", [(row, row.miou) for row in shown])]
        for index, (name, paint) in enumerate(zip(classes.names, classes.palette, strict=True)):
            cards.append(_card(swatch(paint) + text(name), [(row, row.iou[index]) for row in shown]))
        parts.append(f'<div class="cards">{"".join(cards)}</div>')
    return f'<section id="classes"><h2>IoU by class</h2>{"".join(parts)}</section>'


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
    "<b>Network</b> is the bare call, at the network’s input size; on a GPU, its copies (H2D, D2H) and its compute are timed by the GPU’s "
    "own clock, in other calls. "
    "<b>End to end</b> adds the decoding where there is a file, the resize before it and the class map at the image’s own size after it."
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
        ("Threads", listing(_threads(row) for row in sorted(rows, key=lambda row: row.threads))),
        ("Backends", listing(f"{row.backend} {row.backend_version}" for row in rows)),
        ("Devices", listing((_device(row) for row in rows), joint="<br>")),
        ("Power", listing(_power(row) for row in rows if row.energy)),
        ("Clocks", listing((_clocks(row) for row in rows if row.state), 4, "<br>")),
        ("Doubtful", listing((f"{row.label}: {sentence}" for row in rows for sentence in row.warnings), 12, "<br>")),
        ("Dates", _dates(rows)),
    ]
    listed = "".join(f"<dt>{title}</dt><dd>{words}</dd>" for title, words in facts if words)
    heads = "".join(f'<th scope="col"{kind}>{head}</th>' for head, kind in _FILE_HEADS)
    return (
        f'<section id="method"><h2>How it was measured</h2><dl>{listed}</dl><h3>Files</h3>'
        f"{scrolling('Files', f'<tr>{heads}</tr>', [_file(row) for row in rows])}</section>"
    )


def _power(row: Row) -> str:
    one = next(iter(row.energy.values()))
    idle = (
        "nothing subtracted" if one.idle_watts is None else f"{significant(one.idle_watts)} W at rest subtracted from the energy an image"
    )
    return f"{one.source} ({one.scope}), {idle}"


def _clocks(row: Row) -> str:
    """Numbers before and after, and the first line of what the tools said."""
    before, after = row.state.get("before", {}), row.state.get("after", {})
    told = []
    for name in unique([*before, *after]):
        found = unique(str(state[name]).strip().split("\n")[0] for state in (before, after) if name in state)
        told.append(f"{name.replace('_', ' ')} {' → '.join(found)}")
    return f"{row.device}: {'; '.join(told)}" if told else f"{row.device}: not readable"


def _images(rows: Sequence[Row]) -> str:
    counts = unique(row.images for row in rows if row.miou is not None)
    if not counts:
        return "Not measured."
    numbers = " or ".join(f"{count:,}" for count in counts[:6])
    whose = "images that the teacher labelled" if score_names(rows) == AGREEMENT else "labelled images"
    return f"{score_names(rows)} over {numbers} {whose}, of the classes that occur, at the labels’ own size."


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
        f'<th scope="row">{text(row.label)}</th><td><code>{text(row.path)}</code></td>'
        f"<td><code>{text(row.sha256[:12])}</code></td>"
        f"<td>{text(row.backend)} {text(row.backend_version)}</td><td>{text(_threads(row))}</td>"
        f"<td{_NUMBER}>{calls}</td><td{_NUMBER}>{images}</td><td>{text(row.date)}</td>"
    )
