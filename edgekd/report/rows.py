"""Measurements as rows, each with a label of its own and its distance from the baseline and from FP32."""

import math
from collections.abc import Sequence
from dataclasses import replace

from edgekd.report.compare import BASELINE, compared
from edgekd.report.markup import unique
from edgekd.report.naming import labels
from edgekd.report.row import Row
from edgekd_runtime.errors import UsageError
from edgekd_runtime.measurement import Measurement


def read_rows(results: Sequence[Measurement]) -> list[Row]:
    """Measurements as rows, in their order.

    Raises:
        UsageError: If there are none.
    """
    if not results:
        raise UsageError("There are no results to report; measure models with `edgekd bench` first.")
    rows = [_row(result) for result in results]
    styles = {method: index for index, method in enumerate(unique([BASELINE, *(row.method for row in rows)]))}
    named = zip(rows, labels(rows), strict=True)
    return compared([replace(row, label=label, style=styles[row.method]) for row, label in named])


def _row(one: Measurement) -> Row:
    artifact, accuracy = one.artifact, one.accuracy
    return Row(
        label="",
        style=0,
        name=artifact.name,
        model=artifact.model,
        method=artifact.method,
        precision=artifact.precision,
        backend=one.backend,
        size=artifact.size,
        device=one.device.get("name") or "unknown device",
        classes=artifact.classes,
        stages=one.latency,
        miou=_known(accuracy.miou) if accuracy else None,
        pixel_accuracy=_known(accuracy.pixel_accuracy) if accuracy else None,
        iou=tuple(map(_known, accuracy.iou)) if accuracy else (),
        images=one.images,
        size_bytes=one.size_bytes,
        agreement=_known(artifact.parity.get("pixel_agreement")),
        timing=one.timing,
        backend_version=one.backend_version,
        threads=one.threads,
        batch=one.batch,
        peak_memory=one.peak_memory_bytes or None,
        energy=one.energy,
        path=one.path,
        sha256=artifact.sha256,
        source_sha256=artifact.source_sha256,
        date=one.date,
        machine=one.device,
        state=one.state,
        score=artifact.score_name,
        warnings=tuple(one.warnings),
    )


def _known(value: float | None) -> float | None:
    return None if value is None or math.isnan(value) else value
