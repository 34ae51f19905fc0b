"""The offline report: one HTML page, and the Pareto plot as a picture of its own."""

from edgekd.report.chart import pareto_front
from edgekd.report.page import write_report
from edgekd.report.pareto import pareto_svg
from edgekd.report.pictures import SampleRow
from edgekd.report.standalone import write_picture

__all__ = ["SampleRow", "pareto_front", "pareto_svg", "write_picture", "write_report"]
