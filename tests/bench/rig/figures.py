"""The figures: what is measured, what we aim at, and what is the least that will do."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

BEGIN, END = "<!-- figures: written by the bench -->", "<!-- end of figures -->"
# Measures of one round, by name; those that could not be taken are missing.
Round = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Figure:
    """A measure of a round, or one measure to another of the same round."""

    name: str
    measure: str
    to: str
    aim: float
    bound: float
    unit: str = "×"
    # The bound is the least that will do, not the most.
    is_least: bool = False

    def of(self, measured: Round) -> float | None:
        if self.measure not in measured or (self.to and self.to not in measured):
            return None
        return measured[self.measure] / (measured[self.to] if self.to else 1.0)

    def holds(self, value: float, bound: float) -> bool:
        return value >= bound if self.is_least else value <= bound

    def written(self, value: float) -> str:
        digits = 0 if value >= 100 else 1 if value >= 20 else 2
        return f"{value:,.{digits}f} {self.unit}"

    def limit(self, value: float) -> str:
        return f"{'≥' if self.is_least else '≤'} {value:g} {self.unit}"


FIGURES = (
    Figure("CPU a message, SQLite, to smtp-source", "sqlite.cpu", "source.cpu", 1.0, 1.4),
    Figure("CPU a message, PostgreSQL, to smtp-source", "postgresql.cpu", "source.cpu", 1.25, 1.7),
    Figure("CPU a message over TLS, to plain smtp-source", "tls.cpu", "source.cpu", 1.6, 2.0),
    Figure(
        "Messages a second at 20 ms round trip, to smtp-source", "far.rate", "far source.rate",
        3.8, 3.5, is_least=True,
    ),
    *(
        Figure(
            f"Messages a second, database {each} ms away, to 0 ms", f"away {each}.rate",
            "away 0.rate", aim, bound, is_least=True,
        )
        for each, aim, bound in ((1, 0.9, 0.6), (5, 0.6, 0.3), (20, 0.25, 0.1))
    ),
    Figure(
        "Messages a second, database 100 ms away", "away 100.rate", "", 60, 10, "/s", is_least=True
    ),
    Figure("Peak memory, many recipients to some", "many.peak", "sqlite.peak", 1.02, 1.05),
    Figure("Peak memory of a worker", "many.peak", "", 60, 80, "MB"),
    Figure("First message after queueing many", "first.seconds", "", 1, 2, "s"),
    Figure("Form POST p99 while sending, SQLite", "pages sqlite.p99", "", 40, 100, "ms"),
    Figure("Form POST p99 while sending, PostgreSQL", "pages postgresql.p99", "", 15, 30, "ms"),
    Figure("CPU a message, many recipients to few", "many.cpu", "few.cpu", 1.02, 1.1),
    Figure("System calls that send, a message", "calls.sent", "", 1.02, 1.1, ""),
    Figure("System calls that receive, a message", "calls.received", "", 1.1, 2.1, ""),
)  # fmt: skip


HEAD = ("figure", "minimum", "median", "maximum", "aim", "bound")


def row(figure: Figure, rounds: Sequence[Round]) -> tuple[str, ...]:
    """Write a figure over all rounds; a mark says whether its median keeps the aim, the bound."""
    found = (figure.of(each) for each in rounds)
    values = [value for value in found if value is not None]
    limits = [figure.limit(figure.aim), figure.limit(figure.bound)]
    if not values:
        return (figure.name, "–", "not measured", "–", *limits)
    median = statistics.median(values)
    marked = zip(limits, (figure.aim, figure.bound), strict=True)
    kept = (f"{words} {'✓' if figure.holds(median, limit) else '✗'}" for words, limit in marked)
    return (figure.name, *map(figure.written, (min(values), median, max(values))), *kept)


def as_markdown(rounds: Sequence[Round]) -> str:
    lines = [HEAD, ("---", *["--:"] * (len(HEAD) - 1)), *(row(each, rounds) for each in FIGURES)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def put_between_marks(page: Path, words: str) -> None:
    """Put words where a page keeps what the bench writes."""
    before, _, rest = page.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    page.write_text(f"{before}{BEGIN}\n\n{words}\n\n{END}{after}")
