"""The report: Markdown, HTML and JSON, a table a paper, and a figure of each bound against its measurements."""

import html
import json
import math
from collections.abc import Sequence
from pathlib import Path

from proofs_check.claim import FALSE_ALARM, papers
from proofs_check.search import Effort, Result


def summary(results: Sequence[Result]) -> str:
    """One sentence."""
    right = sum(result.as_expected for result in results)
    refuted = sum(result.verdict == "refuted" and result.as_expected for result in results)
    instances = sum(result.instances for result in results)
    return (
        f"{right} of {len(results)} claims have the expected verdict: {right - refuted} hold, {refuted} are refuted, "
        f"on {instances:,} instances."
    )


def mark(result: Result) -> str:
    """What a reader should notice."""
    notes = []
    if not result.as_expected:
        notes.append(f"UNEXPECTED, should be {result.claim.expected}")
    if result.loose:
        notes.append("loose")
    if result.short:
        notes.append(f"{result.claim.attained:g} is attained")
    if result.claim.statistical:
        notes.append("statistical")
    if result.claim.proved:
        notes.append("proved")
    return ", ".join(notes)


def ratio(result: Result) -> str:
    if not result.ratio:
        return "-"
    return f"{result.ratio:.4g}" if result.ratio < 1e4 else "> 10^4"


def contract(results: Sequence[Result]) -> list[dict[str, object]]:
    """What `--json` writes; a ratio that is no number is null."""
    return [
        {
            "id": result.claim.id,
            "source": result.claim.source,
            "expected": result.claim.expected,
            "verdict": result.verdict,
            "instances": result.instances,
            "ratio": result.ratio if math.isfinite(result.ratio) else None,
        }
        for result in results
    ]


def instance(result: Result, length: int = 400) -> str:
    if result.case is None:
        return "-"
    text = f"{result.measured:.6g} against {result.bound:.6g}: {result.case}"
    return text if len(text) <= length else text[: length - 3] + "..."


def _groups(results: Sequence[Result]) -> list[tuple[str, str, list[Result]]]:
    """Name and title of each paper, and its results."""
    groups = [(name, title, [r for r in results if r.claim.paper == name]) for name, title in papers().items()]
    return [group for group in groups if group[2]]


def intro(results: Sequence[Result], effort: Effort) -> list[str]:
    loose = sum(result.loose for result in results)
    return [
        summary(results),
        "A claim that holds is an inequality measured <= bound (or an equality) that no instance broke: replayed "
        "instances, structured families, a search by Hypothesis steered to the largest ratio measured / bound, and a "
        "climb from the tightest instance with all its numbers free. That is evidence, not proof; where a measurement "
        "is made of fractions an instance is decided without rounding, and the last table is proof, for grids of few "
        "atoms. A claim that is refuted has the counterexample in its row, in exact numbers or with room for floats.",
        "The ratio is the largest measured / bound that was reached (bound plus room, if the room for rounding, "
        f"truncation or chance is more than a millionth of the bound). {loose} bounds stayed below half: loose.",
        f"Statistical claims share one probability of a false alarm, {FALSE_ALARM:g} for the report (Bonferroni).",
        f"Effort: {effort.name}, {effort.examples} drawn instances and {effort.polish} steps of polish for a claim of "
        "cost 1, fewer where an instance takes long.",
    ]


def markdown(results: Sequence[Result], effort: Effort, figures: dict[str, str]) -> str:
    """The report as Markdown."""
    lines = ["# What is known, what was checked, how hard", ""]
    for paragraph in intro(results, effort):
        lines += [paragraph, ""]
    for paper, title, found in _groups(results):
        lines += [f"## {title}", ""]
        lines += ["| claim | verdict | instances | ratio | notes | tightest instance, or counterexample |"]
        lines += ["|---|---|---:|---:|---|---|"]
        for result in found:
            cells = (
                f"**{result.claim.id}**: {result.claim.statement} *{result.claim.source}* [{result.claim.evidence}]",
                result.verdict,
                str(result.instances),
                ratio(result),
                mark(result),
                instance(result),
            )
            lines.append("| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |")
        lines.append("")
        if paper in figures:
            lines += [f"![measured against bound]({figures[paper]})", ""]
    failures = [result for result in results if result.reason]
    if failures:
        lines += ["## Errors", ""]
        for result in failures:
            lines += [f"**{result.claim.id}**", "", "```", result.reason.rstrip(), "```", ""]
    return "\n".join(lines)


_STYLE = """body { font: 15px/1.5 sans-serif; max-width: 80rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; width: 100% } td, th { border-top: 1px solid #ccc; padding: .4rem }
td, th { vertical-align: top; text-align: left }
td.number { text-align: right } .refuted { color: #a33 } .holds { color: #262 }
.undecided, .wrong { background: #fdd }
img { max-width: 100% }
.small { color: #555; font-size: 12px; word-break: break-word }"""


def as_html(results: Sequence[Result], effort: Effort, figures: dict[str, str]) -> str:
    """The report as one HTML page; formulas are kept as LaTeX between \\( and \\)."""
    parts = [f"<!doctype html><meta charset='utf-8'><title>Claims checked</title><style>{_STYLE}</style>"]
    parts.append("<h1>What is known, what was checked, how hard</h1>")
    parts += [f"<p>{html.escape(paragraph)}</p>" for paragraph in intro(results, effort)]
    for paper, title, found in _groups(results):
        parts.append(f"<h2>{html.escape(title)}</h2><table>")
        parts.append("<tr><th>claim<th>verdict<th>instances<th>ratio<th>instance</tr>")
        for result in found:
            claim = result.claim
            kind = "" if result.as_expected else " class='wrong'"
            parts.append(
                f"<tr{kind} id='{claim.id}'><td><b>{claim.id}</b> {html.escape(claim.statement)}<br>"
                f"\\({html.escape(claim.latex)}\\)<br><span class='small'>{html.escape(claim.source)} "
                f"[{claim.evidence}]. {html.escape(claim.why)}</span>"
                f"<td class='{result.verdict}'>{result.verdict}<br>"
                f"<span class='small'>{html.escape(mark(result))}</span>"
                f"<td class='number'>{result.instances}<td class='number'>{html.escape(ratio(result))}"
                f"<td class='small'>{html.escape(instance(result))}</tr>"
            )
        parts.append("</table>")
        if paper in figures:
            parts.append(f"<img src='{figures[paper]}' alt='measured against bound'>")
    return "\n".join(parts)


def plot(results: Sequence[Result], folder: Path) -> dict[str, str]:
    """One figure a paper, a panel a bound: measured against bound over the instances. Needs matplotlib."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figures = {}
    for paper, _, found in _groups(results):
        shown = [r for r in found if not r.claim.proved and any(m > 0 and b > 0 for m, b in r.points)]
        if not shown:
            continue
        columns = 5
        rows = math.ceil(len(shown) / columns)
        figure, axes = plt.subplots(
            rows, columns, figsize=(2.4 * columns, 2.2 * rows), squeeze=False, layout="constrained"
        )
        for axis, result in zip(axes.flat, shown, strict=False):
            points = [(m, b) for m, b in result.points if m > 0 and b > 0]
            top = max(number for point in points for number in point)
            low = min(number for point in points for number in point)
            ends = (max(low, 1e-6 * top) / 2.0, top * 2.0)  # what is smaller is rounding
            axis.loglog(*zip(*((b, m) for m, b in points), strict=True), ".", markersize=2, color="#3465a4")
            axis.loglog(ends, ends, color="#999999", linewidth=0.7)
            axis.set_title(result.claim.id, fontsize=6)
            axis.set(xlim=ends, ylim=ends)
            axis.minorticks_off()
            axis.tick_params(labelsize=5)
        for axis in axes.flat[len(shown) :]:
            axis.remove()
        figure.supxlabel("bound", fontsize=8)
        figure.supylabel("measured", fontsize=8)
        name = f"{paper}.png"
        figure.savefig(folder / name, dpi=90)
        plt.close(figure)
        figures[paper] = name
    return figures


def write(results: Sequence[Result], effort: Effort, folder: Path) -> None:
    """report.md, report.html, report.json and the figures."""
    folder.mkdir(parents=True, exist_ok=True)
    figures = plot(results, folder)
    (folder / "report.md").write_text(markdown(results, effort, figures), encoding="utf-8")
    (folder / "report.html").write_text(as_html(results, effort, figures), encoding="utf-8")
    (folder / "report.json").write_text(json.dumps(contract(results), indent=1) + "\n", encoding="utf-8")
