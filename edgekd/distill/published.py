"""The papers' own figures, from `published.yaml`, and the command that makes each here."""

from pathlib import Path

from edgekd.config import Strict
from edgekd.loading import read_yaml, validate

FILE = Path(__file__).with_name("published.yaml")


class Row(Strict):
    """One student of a table.

    Attributes:
        recipe: Of the student, its teacher, data and schedule.
        data, student: As the paper calls them.
        teacher: The teacher's mIoU, %; None if it is not published.
        miou: Of each column, %; None if it is not published.
        columns: How columns are made that differ from the table's.
        differs: What of the published setting our recipe does not have, besides what the table says.
    """

    recipe: str
    data: str
    student: str
    teacher: float | None
    miou: dict[str, float | None]
    columns: dict[str, str] = {}
    differs: list[str] = []


class Table(Strict):
    """Rows that share a recipe's schedule and columns.

    Attributes:
        columns: How each is made: a verb and its options.
        differs: What of the published setting no row's recipe has.
    """

    paper: str
    about: str
    differs: list[str]
    columns: dict[str, str]
    rows: list[Row]

    def commands(self, row: Row) -> dict[str, str]:
        """The command that makes each column of a row."""
        return {name: _command(row.recipe, how) for name, how in (self.columns | row.columns).items()}


class Case(Strict):
    """One figure of an ablation: mIoU in %, and how it is made."""

    what: str
    miou: float
    how: str


class Ablation(Strict):
    """Variations of one row."""

    paper: str
    about: str
    recipe: str
    cases: list[Case]

    def command(self, case: Case) -> str:
        """The command that makes a figure."""
        return _command(self.recipe, case.how)


class Published(Strict):
    """Everything that is published."""

    tables: list[Table]
    ablations: list[Ablation]


def load_published() -> Published:
    """Read the file."""
    return validate(Published, read_yaml(FILE), FILE.name)


def _command(recipe: str, how: str) -> str:
    """``distill --method rdd`` → ``edgekd distill --recipe RECIPE --method rdd``."""
    verb, _, options = how.partition(" ")
    if "--recipe" in options:
        return f"edgekd {how}"
    return f"edgekd {verb} --recipe {recipe} {options}".rstrip()
