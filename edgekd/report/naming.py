"""A label for every row of a report, so that no two read the same."""

from collections import defaultdict
from collections.abc import Sequence

from edgekd.report.row import Row


def labels(rows: Sequence[Row]) -> list[str]:
    """Name and method; rows that still agree add what they differ in, and at last a number."""
    found = [row.name if row.method.lower() in row.name.lower() else f"{row.name} ({row.method})" for row in rows]
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


def _details(row: Row) -> tuple[str, ...]:
    """What two measurements of one name may differ in, the most telling first."""
    threads = f"{row.threads} thread{'s' * (row.threads > 1)}" if row.threads else "default threads"
    return row.precision, row.model, "×".join(map(str, row.size)), row.backend, threads, f"batch {row.batch}", row.device
