"""What came out, as a table for a terminal of 80 columns and as sentences."""

from collections.abc import Sequence

from edgekd.console import table
from edgekd.fit.choice import Form, Limits, Tried, best, nearest_miss, roomiest
from edgekd_runtime.latency import DRIFT_LIMIT
from edgekd_runtime.measurement import describe_device

_HEADS = ("MiB", "M", "GMAC", "mIoU")
CURE = "close other programs, or measure longer with --seconds, and repeat with --overwrite"


def show(tried: Sequence[Tried], precisions: Sequence[str], limits: Limits, device: str | None) -> None:
    """Print a row a candidate, a column a precision."""
    shown = [name for name in precisions if any(name in one.best_forms for one in tried)]
    fits = f"; which of them fit {limits.words}" if limits else ""
    table(
        f"{', '.join(about(tried, device))}: ms an image in each precision (~ noisy){fits}; peak memory of the fastest in MiB, "
        "millions of parameters, 10⁹ multiply-adds, mIoU published on Cityscapes",
        ["candidate", *shown, *(["fits"] if limits else []), *_HEADS],
        [_row(one, shown, limits) for one in tried],
    )


def about(tried: Sequence[Tried], device: str | None) -> list[str]:
    """Where, at which sizes and on which backends."""
    backends = ", ".join(sorted({form.backend for one in tried for form in one.forms})) or "nothing"
    sizes = ", ".join(dict.fromkeys(f"{one.candidate.size[0]}x{one.candidate.size[1]}" for one in tried))
    return [device or describe_device()["name"], sizes, backends]


def _row(one: Tried, precisions: Sequence[str], limits: Limits) -> list[str]:
    fastest = min(one.forms, key=lambda form: form.ms, default=None)
    memory = f"{fastest.memory_mib:.0f}" if fastest and fastest.memory_mib else "–"
    room = one.capacity
    published = f"{room.published.miou:.1f}" if room.published else "–"
    times = [_time(one.best_forms.get(name)) for name in precisions]
    fitting = {form.precision for form in one.fitting(limits)}
    words = "all" if fitting == set(precisions) else " ".join(name for name in precisions if name in fitting)
    fits = [words or "none"] if limits else []
    return [one.label, *times, *fits, memory, f"{room.parameters_m:.1f}", f"{room.gmacs:.2f}", published]


def _time(form: Form | None) -> str:
    return "–" if form is None else f"{'~' if form.noisy else ''}{milliseconds(form.ms)}"


def milliseconds(value: float) -> str:
    """Three digits or more."""
    return f"{value:.{2 if value < 10 else 1 if value < 100 else 0}f}"


def sentences(tried: Sequence[Tried], limits: Limits) -> list[str]:
    """What else is to be known: what was left out, how sure the figures are, and what is the best."""
    return [*failures(tried), *filter(None, [noise(tried)]), *verdict(tried, limits)]


def failures(tried: Sequence[Tried]) -> list[str]:
    """What was left out, and why."""
    return [f"{one.label} in {name} was not measured: {reason}" for one in tried for name, reason in one.failures.items()]


def noise(tried: Sequence[Tried]) -> str:
    """How sure the figures are; empty where none is noisy."""
    forms = [form for one in tried for form in one.best_forms.values()]
    noisy = [form for form in forms if form.noisy]
    if not noisy:
        return ""
    worst = 100 * max(form.noise for form in noisy)
    return (
        f"{len(noisy)} of {len(forms)} figures are noisy (~): their two sweeps lie up to {worst:.0f} % apart (limit "
        f"{100 * DRIFT_LIMIT:.0f} %), or one of them was unsteady; the quicker one counts. To be surer, {CURE}."
    )


def verdict(tried: Sequence[Tried], limits: Limits) -> list[str]:
    """What is the best of those that fit, and which of them noise leaves open; nothing where none fits."""
    pairs = [(one, form) for one in tried for form in one.best_forms.values()]
    undecided = [f"{one.label} in {form.precision}" for one, form in pairs if form.undecided(limits)]
    found = [f"Too noisy to tell whether it fits: {', '.join(undecided)}."] if undecided else []
    chosen = best(tried, limits)
    return [*found, *(_best(tried, chosen, limits) if chosen else [])]


def _best(tried: Sequence[Tried], chosen: Tried, limits: Limits) -> list[str]:
    """Which to train, why, and what speaks for another."""
    ways = " or ".join(f"{form.precision} ({milliseconds(form.ms)} ms on {form.backend})" for form in chosen.fitting(limits))
    published = chosen.capacity.published
    why = (
        f"the highest published accuracy, {published.miou:.1f} mIoU on Cityscapes at {published.size[0]}x{published.size[1]}"
        if published
        else f"the most multiply-adds, {chosen.capacity.gmacs:.2f} · 10⁹, and no accuracy published of any"
    )
    words = f"Of what fits {limits.words}, " if limits else "No limit was given (--max-latency-ms, --max-memory-mib); of all, "
    found = [f"{words}{chosen.label} has {why}: in {ways}."]
    rival = roomiest(tried, limits)
    if rival is not None and rival.capacity.published is None and rival is not chosen:
        found.append(
            f"{rival.label} has more multiply-adds ({rival.capacity.gmacs:.2f} · 10⁹), and nothing published; only training tells."
        )
    return found


def nothing(tried: Sequence[Tried], limits: Limits) -> str:
    """Why there is no best: what comes nearest, or that nothing could be measured."""
    miss = nearest_miss(tried, limits)
    if miss is None:
        return "No candidate could be measured, see above."
    one, form = miss
    memory = f" and {form.memory_mib:.0f} MiB" if limits.memory_mib is not None and form.memory_mib is not None else ""
    figures = f"{milliseconds(form.ms)} ms{memory}"
    return f"Nothing fits {limits.words}; the nearest is {one.label} in {form.precision} on {form.backend} with {figures}."
