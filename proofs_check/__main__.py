"""`python -m proofs_check`: hunt counterexamples to every claim; show one; plant faults and violations, and see who
catches them."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from tqdm.auto import tqdm

from proofs_check import power as powering
from proofs_check import report, runner
from proofs_check.claim import claims, find
from proofs_check.search import Result, keep

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.callback(invoke_without_command=True)
def check(
    context: typer.Context,
    quick: Annotated[bool, typer.Option("--quick", help="Under three minutes.")] = False,
    full: Annotated[bool, typer.Option("--full", help="Hours; started again it goes on.")] = False,
    profile: Annotated[str, typer.Option(help="quick, default, nightly or full.")] = "default",
    jobs: Annotated[int, typer.Option(min=1, help="Claims at a time.")] = 1,
    claim: Annotated[str | None, typer.Option(help="Only this one, by its id.")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Verdicts, as a list of objects.")] = None,
    out: Annotated[Path, typer.Option(help="Folder of the report.")] = Path("results/proofs_check"),
    seed: Annotated[int, typer.Option(min=0, help="Of the search.")] = 0,
    keep_instances: Annotated[bool, typer.Option("--keep", help="Store the tightest instances for replay.")] = False,
) -> None:
    """Hunt a counterexample to every claim, and compare the verdicts with those expected.

    Writes report.md, report.html, report.json and figures to OUT (not with --claim). Exit status: 0 all verdicts are as
    expected, 1 one is not, 2 bad input, 130 interrupted.
    """
    if context.invoked_subcommand is not None:
        return
    name = "quick" if quick else "full" if full else profile
    if name not in runner.EFFORTS:
        _stop(f"no profile is called {name!r}; there are {', '.join(runner.EFFORTS)}", 2)
    effort = runner.EFFORTS[name]
    try:
        chosen = claims() if claim is None else [find(claim)]
    except ValueError as error:
        _stop(str(error), 2)
    bar = tqdm(total=len(chosen), unit="claim", file=sys.stderr, disable=None)

    def done(result: Result) -> None:
        bar.set_description(result.claim.id)
        bar.update()

    store = out / "finished" if name in ("full", "nightly") else None
    try:
        results = runner.run(chosen, effort, jobs=jobs, seed=seed, store=store, done=done)
    except KeyboardInterrupt:
        _stop("interrupted" + ("; finished claims are kept" if store else ""), 130)
    bar.close()
    for result in results:
        _line(result)
    if keep_instances:
        for result in results:
            keep(result)
    try:
        if claim is None:
            report.write(results, effort, out)
        if json_file is not None:
            json_file.write_text(json.dumps(report.contract(results), indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        _stop(str(error), 2)
    print(report.summary(results))
    if claim is None:
        print(f"report: {out / 'report.md'}")
    if not all(result.as_expected for result in results):
        raise typer.Exit(1)


def _line(result: Result) -> None:
    note = report.mark(result)
    print(
        f"{result.claim.id:42} {result.verdict:10} {result.instances:7} instances  ratio {report.ratio(result):>8}"
        + (f"  ({note})" if note else "")
    )
    if result.verdict == "refuted":
        print(f"    measured {report.instance(result, 600)}")
    elif result.reason:
        print("    " + result.reason.strip().replace("\n", "\n    "))


@app.command(name="list")
def show_all() -> None:
    """All claims: id, expected verdict, statement."""
    for entry in claims():
        print(f"{entry.id:42} {entry.expected:8} {entry.statement}")


@app.command()
def show(id: Annotated[str, typer.Argument(help="A claim's id.")]) -> None:
    """Statement, source, proof sketch and uses of a claim, to be cited."""
    try:
        entry = find(id)
    except ValueError as error:
        _stop(str(error), 2)
    print(f"{entry.id} (expected: {entry.expected})\n\n{entry.statement}\n    {entry.latex}\n")
    parts = {
        "source": f"{entry.source} [{entry.evidence}]",
        "premises": entry.assumes,
        "measured": entry.measured,
        "bound": entry.bound,
        "searched over": entry.searched,
        "attained": f"{entry.attained:g} of the bound" if entry.attained else "",
        "finds": powering.sizes(entry),
        "why": " ".join(entry.why.split()),
        "used by": entry.used_by,
    }
    for name, text in parts.items():
        if text:
            print(f"{name + ':':14} {text}")


@app.command()
def mutate(
    only: Annotated[str | None, typer.Option(help="Only this fault, by its name.")] = None,
    every: Annotated[
        bool, typer.Option("--all", help="All claims against each fault, not only those near it.")
    ] = False,
) -> None:
    """Plant faults in the library, one at a time; list the claims that catch each. Exit status 1 if one survives."""
    from proofs_check import mutations

    survivors = 0
    chosen = [fault for fault in mutations.FAULTS if only in (None, fault.name)]
    if not chosen:
        _stop(f"no fault is called {only!r}; there are {', '.join(fault.name for fault in mutations.FAULTS)}", 2)
    for fault in chosen:
        caught = mutations.catchers(fault, every=every)
        survivors += not caught
        print(f"{fault.name:32} {'caught by ' + ', '.join(caught) if caught else 'SURVIVES'}", flush=True)
    print(f"{len(chosen) - survivors} of {len(chosen)} faults are caught.")
    if survivors:
        raise typer.Exit(1)


@app.command()
def power(
    ids: Annotated[
        list[str] | None, typer.Argument(help="Claims by their ids; all statistical ones unless given.")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="The sizes of --quick.")] = False,
    profile: Annotated[str, typer.Option(help="quick, default or nightly.")] = "default",
    repeats: Annotated[int, typer.Option(min=1, help="Searches for each violation.")] = 10,
    sound: Annotated[
        bool, typer.Option("--sound", help="Plant nothing: how often is a claim refuted that holds?")
    ] = False,
    out: Annotated[Path, typer.Option(help="Where the table goes.")] = Path("results/proofs_check/power.md"),
) -> None:
    """Plant in turn the violations that the statistical claims are to find; how often does each?

    Exit status: 0 all are found with the probability that is stated, as far as the repeats tell, 1 one is not, 2 bad
    input.
    """
    name = "quick" if quick else profile
    if name not in runner.EFFORTS:
        _stop(f"no profile is called {name!r}; there are {', '.join(runner.EFFORTS)}", 2)
    try:
        chosen = [find(id) for id in ids] if ids else powering.statistical(claims())
    except ValueError as error:
        _stop(str(error), 2)
    strange = [entry.id for entry in chosen if not entry.statistical]
    if strange:
        _stop(f"{strange[0]} is not statistical: it has no power to state", 2)
    rows, short = [powering.HEADER], 0
    print(powering.HEADER)
    for found in powering.powers(chosen, runner.EFFORTS[name], repeats, sound=sound):
        rows.append(found.row)
        short += found.caught > 0 and found.claim.expected == "holds" if sound else not found.enough
        print(found.row + ("  " + found.reason.strip().splitlines()[-1] if found.reason else ""), flush=True)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text("\n".join(rows) + "\n", encoding="utf-8")
    except OSError as error:
        _stop(str(error), 2)
    if short:
        raise typer.Exit(1)


def _stop(message: str, status: int) -> None:
    print(f"proofs_check: {message}", file=sys.stderr)
    raise typer.Exit(status)


if __name__ == "__main__":
    app(prog_name="python -m proofs_check")
