"""A label for every row of a report, so that no two read the same."""

from collections import defaultdict
from collections.abc import Sequence

from edgekd.report.row import Row


def labels(rows: Sequence[Row]) -> list[str]:
    """Name, and method if there are several; rows that still agree add what they differ in, and at last a number."""
    several = len({row.about.method for row in rows}) > 1
    found = [_name(row) if several else row.about.name for row in rows]
    same = defaultdict(list)
    for index, label in enumerate(found):
        same[label].append(index)
    for indices in same.values():
        details = [_details(rows[index]) for index in indices]
        telling = [column for column in range(len(details[0])) if len({detail[column] for detail in details}) > 1]
        for index, detail in zip(indices, details, strict=True):
            found[index] = ", ".join([found[index], *(detail[column] for column in telling)])
    seen: dict[str, int] = defaultdict(int)
    for index, label in enumerate(found):
        seen[label] += 1
        found[index] = f"{label} #{seen[label]}" if seen[label] > 1 else label
    return found


def _name(row: Row) -> str:
    """The artifact's name, with the method unless it says it."""
    name, method = row.about.name, row.about.method
    return name if method.lower() in name.lower() else f"{name} ({method})"


def _details(row: Row) -> tuple[str, ...]:
    """What two measurements of one name may differ in, the most telling first."""
    one, about = row.one, row.about
    threads = f"{one.threads} thread{'s' * (one.threads > 1)}" if one.threads else "default threads"
    return about.precision, about.model, "×".join(map(str, about.size)), one.backend, threads, f"batch {one.batch}", row.device
