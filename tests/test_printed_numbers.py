"""Every public number that has a bound beside it, against laws that are known without the library.

A door is a way in which numbers reach a user: `interval`, the summary's text, `table`, a CSV file, a plot's legend, the
command line. `false_statements` reads all of them as a person would and lists what is not true. That it can fail is
tested too: bounds that are 10% too small, and ends that are rounded inwards, are found.
"""

import csv
import re
import sys
from fractions import Fraction

import numpy as np
import pytest
from scipy import stats

import distrl
from distrl import _display, cli
from tests.exact_laws import SmoothTruth, random_tree, tree_laws

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("agg")

HALF = Fraction(1, 2)
POINTS = {
    "mean": [None],
    "variance": [None],
    "std": [None],
    "quantile": [0.0, 0.05, 0.5, 0.95, 1.0],
    "cvar": [0.05, 0.5, 1.0],
    "cdf": [-3.0, 0.5, 2.0, 1e6],
    "stop_loss": [-2.0, 1.0, 30.0],
    "expectile": [0.1, 0.5, 0.8],
    "entropic_risk": [-0.7, 0.0, 0.4],
}


def model_of(rows, discount, initial=None):
    """The library's model of rows of `tests.exact_laws`."""
    table = [
        (s, 0, float(p), s if following is None else following, float(reward), following is None)
        for s, outcomes in enumerate(rows)
        for p, following, reward in outcomes
    ]
    return distrl.MDP.from_outcomes(table, discount).under(np.zeros(len(rows), dtype=int))


def two_points(low, high):
    """Ends at once with probability 1/16 at `low`: Cantelli's inequality is an equality there."""
    return [[(Fraction(1, 16), None, Fraction(low)), (Fraction(15, 16), None, Fraction(high))]]


def problems():
    """name -> (model, its laws, a grid or None for the default)."""
    found = {}
    for name, seed, discount, options in [
        ("discounted tree", 0, HALF, {}),
        ("undiscounted tree", 1, Fraction(1), {}),
        ("nearly deterministic tree", 2, Fraction(1), {"rare": True}),
        ("positive tree", 3, Fraction(3, 4), {"signed": False}),
    ]:
        rows = random_tree(seed, 6, **options)
        laws = tree_laws(rows, discount)
        ends = min(min(law.values) for law in laws), max(max(law.values) for law in laws)
        grid = None if discount < 1 else distrl.Grid(float(ends[0]) - 1.0, float(ends[1]) + 1.0, 41)
        found[name] = model_of(rows, float(discount)), laws, grid
    rows = random_tree(4, 6)
    found["clipped tree"] = model_of(rows, 0.5), tree_laws(rows, HALF), distrl.Grid(-0.75, 1.25, 33)
    rows = two_points(1, Fraction(5, 2))
    found["two points"] = model_of(rows, 1.0), tree_laws(rows, Fraction(1)), distrl.Grid(0, 3, 4)
    coin = distrl.MRP([[1.0]], [distrl.FiniteLaw([0.0, 1.0])], 0.5)
    found["uniform"] = coin, [SmoothTruth(stats.uniform(0, 2))], None
    normal = distrl.MRP([[1.0]], [stats.norm(1, 1)], 0.5)
    found["normal"] = normal, [SmoothTruth(stats.norm(2, np.sqrt(4 / 3)))], distrl.Grid(-6, 10, 65)
    return found


PROBLEMS = problems()


def methods(grid):
    options = {} if grid is None else {"grid": grid}
    atoms = {"atoms": 41} if grid is None else {"grid": grid}
    yield distrl.CategoricalFixedPoint(**atoms)
    yield distrl.CategoricalDP(**({"atoms": 41} if grid is None else {"atoms": grid.atoms, "grid": grid}), sweeps=3)
    yield distrl.ParticleDP(**({"atoms": 41} if grid is None else {"atoms": grid.atoms, **options}))
    yield distrl.Brackets(**({"atoms": 41} if grid is None else {"atoms": grid.atoms, **options}))
    yield distrl.QuantileDP(15)
    yield distrl.ExpectileDP(5)
    yield distrl.Moments()
    yield distrl.MonteCarlo(300, confidence=1 - 1e-9)


NAMES = ["CategoricalFixedPoint", "CategoricalDP", "ParticleDP", "Brackets", "QuantileDP", "ExpectileDP", "Moments"]
NAMES += ["MonteCarlo"]


def solved(problem, method):
    model, laws, grid = PROBLEMS[problem]
    chosen = next(m for m in methods(grid) if type(m).__name__ == method)
    return distrl.evaluate(model, chosen, rng=0, throw=False), laws


# -- reading ----------------------------------------------------------------------------------------------------------


def holds(low, truth, high, law):
    """Whether a true number is inside, exactly for exact laws: decimals and floats are fractions too."""
    slack = law.slack * (1.0 + abs(float(truth))) if isinstance(law, SmoothTruth) else 0.0
    if isinstance(truth, float):  # roots, logarithms: correctly rounded or nearly so
        slack = max(slack, 4e-15 * (1.0 + abs(truth)))
    below = low == -np.inf or Fraction(low) - Fraction(slack) <= Fraction(truth)
    return below and (high == np.inf or Fraction(truth) <= Fraction(high) + Fraction(slack))


def truth_of(law, heading):
    kind, _, level = heading.partition(" ")
    share = float(level.split("%")[0]) / 100.0 if "%" in level else None
    return {
        "mean": lambda: law.mean(),
        "sd": lambda: law.std(),
        "VaR": lambda: law.quantile(share),
        "CVaR": lambda: law.cvar(share),
    }[kind]()


def distance(solution, state, law):
    """The true W1 of the solution's law, 0 where it gives none."""
    if isinstance(solution.method, distrl.Moments | distrl.Brackets):
        return 0.0
    values, weights = solution.returns[state].support_weights()
    return law.w1(values, np.broadcast_to(weights, values.shape))


def cells_of(line):
    """The cells of a line of a summary: columns are two spaces apart at least."""
    return re.split(r"\s{2,}", line.strip())


CELL = re.compile(r"(?:(\S+) )?\[(\S+), (\S+)\]")


def numbers(cell):
    value, *ends = CELL.fullmatch(cell).groups()
    return value, *(float(end) if "inf" in end else Fraction(end) for end in ends)


def intervals(solution, laws):
    for name, points in POINTS.items():
        for tail in ("lower", "upper") if name == "cvar" else ("lower",):
            options = {"tail": tail} if name == "cvar" else {}
            several = None if points == [None] else solution.interval(name, points, tail=tail)
            for k, at in enumerate(points):
                ends = solution.interval(name, at, tail=tail)
                assert ends.shape == (len(laws), 2)
                if several is not None:
                    np.testing.assert_array_equal(several[:, k], ends)
                for s, law in enumerate(laws):
                    if name == "quantile" and at in (0.0, 1.0) and isinstance(law, SmoothTruth):
                        continue
                    arguments = () if at is None else (at,)
                    truth = getattr(law, name)(*arguments, **options)
                    if not holds(*(ends[s, 0], truth, ends[s, 1]), law):
                        yield f"interval {name} {at} {tail} of state {s}: {float(truth)!r} outside {ends[s].tolist()}"


def summary(solution, laws):
    lines = solution.summary(states=range(len(laws))).splitlines()
    for line in lines:
        if line.startswith("certificate"):
            stated = float(re.search(r"<= (\S+)", line)[1])
            worst = max(distance(solution, s, law) for s, law in enumerate(laws))
            if worst > stated * (1 + 1e-9) + 1e-12:
                yield f"summary: {line}; the distance is {worst}"
    first = next(i for i, line in enumerate(lines) if line.lstrip().startswith("state "))
    headings = cells_of(lines[first])
    assert "law" in " ".join(lines) or "true" in " ".join(lines)
    for line in lines[first + 1 : first + 1 + len(laws)]:
        row = dict(zip(headings, cells_of(line), strict=True))
        yield from false_row(solution, laws[int(row["state"])], row, "summary")


def false_row(solution, law, row, door):
    for heading, cell in row.items():
        if heading == "state":
            continue
        if heading.startswith("W1"):
            far = distance(solution, int(row["state"]), law)
            if far > float(cell) * (1 + 1e-9) + 1e-12:
                yield f"{door}: W1 <= {cell}, and is {far}"
            continue
        truth = truth_of(law, heading)
        value, low, high = numbers(cell)
        if not holds(low, truth, high, law):
            yield f"{door}: {heading} of state {row['state']} is {float(truth)!r}, outside {cell}"
        if value not in (None, "?"):
            number = value.removesuffix("*")
            if (low <= Fraction(number) <= high) == value.endswith("*"):
                yield f"{door}: {heading} of state {row['state']}: {cell} has a star inside, or none outside"
            yield from too_many_digits(number, low, high, f"{door}: {heading} {cell}")


def too_many_digits(value, low, high, where):
    """A digit that could be dropped: with one less the number is still within the interval, and within its reach."""
    mantissa, _, exponent = value.partition("e")
    places = len(mantissa.partition(".")[2]) - int(exponent or 0)
    unit = Fraction(10) ** -places
    reach = max(abs(Fraction(value) - low), abs(high - Fraction(value)))
    down = Fraction(value) // (10 * unit) * 10 * unit
    if 10 * unit <= reach * Fraction(8, 10) and low <= down and down + 10 * unit <= high:  # ends are rounded outwards
        yield f"{where} has a digit that its interval does not allow"


def table(solution, laws, columns=None, door="table"):
    columns = solution.table() if columns is None else columns
    for heading, column in columns.items():
        if heading.endswith(" >="):
            name = heading[:-3]
            for s, law in enumerate(laws):
                low, high = float(column[s]), float(columns[f"{name} <="][s])
                if not holds(low, truth_of(law, name), high, law):
                    yield f"{door}: {name} of state {s} outside [{low}, {high}]"
        if heading.startswith("W1 "):
            assert heading == f"W1 to {solution.certificate.of} <="
            for s, law in enumerate(laws):
                if distance(solution, s, law) > float(column[s]) * (1 + 1e-9) + 1e-12:
                    yield f"{door}: {heading} {column[s]}, and is {distance(solution, s, law)}"


def written(solution, laws, path):
    solution.save(path)
    with open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["state"]) for row in rows] == list(range(len(laws)))
    columns = {name: [row[name] for row in rows] for name in rows[0] if name != "state"}
    yield from table(solution, laws, columns, "CSV")


def legend(solution, laws):
    if solution.certificate is None or isinstance(solution.method, distrl.Brackets):
        return
    axes = solution.returns.plot(certificate=solution.certificate)
    texts = [text.get_text() for text in axes.get_legend().get_texts()]
    matplotlib.pyplot.close(axes.figure)
    for s, text in enumerate(texts):
        found = re.search(r"state (\d+) \(\$W_1\$ to the true law \$\\leq\$ (\S+?)[),]", text)
        stated = float(found[2])
        if distance(solution, int(found[1]), laws[s]) > stated * (1 + 1e-9) + 1e-12:
            yield f"legend: {text}, and is {distance(solution, s, laws[s])}"


def false_statements(solution, laws, path):
    yield from intervals(solution, laws)
    yield from summary(solution, laws)
    yield from table(solution, laws)
    yield from written(solution, laws, path)
    yield from legend(solution, laws)


@pytest.mark.parametrize("method", NAMES)
@pytest.mark.parametrize("problem", list(PROBLEMS))
def test_every_printed_number_is_true(problem, method, tmp_path):
    solution, laws = solved(problem, method)
    assert list(false_statements(solution, laws, tmp_path / "table.csv")) == []


# -- the command line -------------------------------------------------------------------------------------------------


def printed_rows(text):
    """The rows of the command's table: cells that go over several lines are put together."""
    lines = [line for line in text.splitlines() if line[:1] in "┃│├└"]
    headings = [cell.strip() for cell in lines[0].strip("┃").split("┃")]
    row = []
    for line in lines[1:]:
        if line[0] != "│":
            continue
        cells = [cell.strip() for cell in line.strip("│").split("│")]
        if cells[0] and row:
            yield dict(zip(headings, row, strict=True))
            row = []
        row = [f"{old} {new}".strip() for old, new in zip(row, cells, strict=True)] if row else cells
    yield dict(zip(headings, row, strict=True))


def commanded(problem, tmp_path, monkeypatch, capsys, *options):
    model, laws, grid = PROBLEMS[problem]
    distrl.save(model, tmp_path / "model.npz")
    command = ["distrl", "evaluate", str(tmp_path / "model.npz"), "--states", "all", *options]
    if grid is not None and not options:
        command += ["--grid", str(grid.low), str(grid.high), "--atoms", str(grid.atoms)]
    monkeypatch.setattr(sys, "argv", command)
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert not end.value.code
    out = capsys.readouterr().out
    method = distrl.QuantileDP(20) if options else distrl.CategoricalFixedPoint(grid=grid) if grid else None
    solution = distrl.evaluate(model, method or distrl.CategoricalFixedPoint())
    assert "certified" in out and "times as large" not in out
    found = []
    for row in printed_rows(out):
        found += false_row(solution, laws[int(row["state"])], row, "command line")
    return found


@pytest.mark.parametrize("options", [(), ("--quantiles", "20")])
@pytest.mark.parametrize("problem", ["discounted tree", "undiscounted tree", "two points", "uniform"])
def test_what_the_command_prints_is_true(problem, options, tmp_path, monkeypatch, capsys):
    assert commanded(problem, tmp_path, monkeypatch, capsys, *options) == []


# -- that it can fail -------------------------------------------------------------------------------------------------


def test_a_certificate_that_is_a_tenth_too_small_is_found(monkeypatch, tmp_path):
    """One outcome in the middle of a cell: the bound, half a spacing, is the distance."""
    rows = [[(Fraction(1), None, HALF)]]
    model, laws = model_of(rows, 1.0), tree_laws(rows, Fraction(1))
    method = distrl.CategoricalFixedPoint(grid=distrl.Grid(0, 3, 4))
    assert list(false_statements(distrl.evaluate(model, method), laws, tmp_path / "table.csv")) == []
    own = property(lambda self: 0.9 * self.__dict__["w1"], lambda self, value: self.__dict__.update(w1=value))
    monkeypatch.setattr(distrl.Certificate, "w1", own, raising=False)
    found = list(false_statements(distrl.evaluate(model, method), laws, tmp_path / "table.csv"))
    for door in ("summary: certificate", "summary: W1", "table: W1", "CSV: W1", "legend"):
        assert any(line.startswith(door) for line in found), (door, found)


@pytest.mark.parametrize("kind", [distrl.CVaR, distrl.Quantile, distrl.StopLoss])
def test_an_interval_that_is_a_tenth_too_narrow_is_found(kind, monkeypatch, tmp_path):
    """Two points, the lower of mass 1/16: inequalities between mean, variance and the functional are equalities."""
    rows = two_points(1, Fraction(5, 2))
    model, laws = model_of(rows, 1.0), tree_laws(rows, Fraction(1))
    at = {distrl.CVaR: 0.0625, distrl.Quantile: 0.0625, distrl.StopLoss: 1.0}[kind]
    name = kind.name
    monkeypatch.setitem(POINTS, name, [at])
    plain = kind.enclose

    def narrower(self, known):
        low, high = plain(self, known)
        return low + 0.05 * (high - low), high - 0.05 * (high - low)

    assert list(intervals(distrl.evaluate(model, distrl.Moments()), laws)) == []
    monkeypatch.setattr(kind, "enclose", narrower)
    assert any(name in line for line in intervals(distrl.evaluate(model, distrl.Moments()), laws))


def test_ends_that_are_rounded_inwards_are_found(monkeypatch, tmp_path):
    rows = two_points(Fraction(1, 3), Fraction(5, 2))
    rows = [[(p, None, Fraction(float(r))) for p, _, r in outcomes] for outcomes in rows]
    model, laws = model_of(rows, 1.0), tree_laws(rows, Fraction(1))
    solution = distrl.evaluate(model, distrl.Moments())
    assert list(summary(solution, laws)) == []
    monkeypatch.setattr(_display, "ROUND_FLOOR", _display.ROUND_CEILING)
    assert any("summary: mean" in line or "summary: sd" in line for line in summary(solution, laws))
