"""The commands, and their exit statuses."""

import sys
from dataclasses import replace
from typing import Annotated, Any

import typer

import distrl
import distrl.cli.options as options
from distrl._compiling import NOTE, watch
from distrl.cli.deciding import decides, draws, frontier_of, objective_of, parameters_of
from distrl.cli.model_files import FileOptions, read_model
from distrl.cli.progress import live_progress
from distrl.cli.reading import check_target, grid_of, under, which_states
from distrl.cli.saying import INTERRUPTED, NOT_CONVERGED, once, one_sentence, say
from distrl.cli.showing import MOST_CURVES, drawing, show

app = typer.Typer(
    name="distrl", no_args_is_help=True, add_completion=False, rich_markup_mode="rich", pretty_exceptions_enable=False
)


def main() -> None:
    """Run the command; every error is one sentence on stderr."""
    try:
        status = app(prog_name="distrl", standalone_mode=False)
    except (KeyboardInterrupt, typer.Abort):  # before there was anything to show
        say("interrupted")
        status = INTERRUPTED
    except Exception as error:
        # usage errors; they know their exit code, whichever library raised them
        if not hasattr(error, "exit_code") or not hasattr(error, "format_message"):
            raise
        if message := error.format_message():  # empty where the help was shown instead
            say(message + _see_help(error))
        status = error.exit_code
    sys.exit(status)


def _see_help(error: Any) -> str:
    command = getattr(getattr(error, "ctx", None), "command_path", None)
    return f" (see {command} --help)" if command else ""


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"distrl {distrl.__version__}")
        raise typer.Exit


@app.callback()
def distrl_command(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Return distributions of Markov decision processes, with proven error bounds."""


@app.command(help=options.EVALUATE_HELP)
def evaluate(
    model: options.ModelArgument,
    discount: options.Discount = None,
    policy: options.PolicyOption = None,
    horizon: options.Horizon = None,
    option: options.MakeOptions = None,
    check: options.Check = True,
    terminal: options.Terminal = None,
    rewards: options.Rewards = None,
    normalise: options.Normalise = False,
    atoms: options.Atoms = None,
    grid: options.GridOption = None,
    tight: options.Tight = False,
    tail: options.Tail = None,
    solver: options.Solver = "auto",
    quantiles: options.Quantiles = None,
    tol: options.Tolerance = None,
    max_iterations: options.MaxIterations = None,
    states: options.States = None,
    level: options.Level = 0.05,
    plot: options.PlotOption = None,
    save: options.SaveOption = None,
    progress: options.ProgressOption = None,
) -> None:
    """Evaluate a model: `EVALUATE_HELP` is what the terminal shows."""
    with one_sentence(), watch.told_to(once(f"note: {NOTE}")):
        # everything that can be refused is refused before the work
        if not 0.0 < level < 1.0:
            raise ValueError(f"--level must lie in (0, 1), got {level:g}")
        check_target(plot, (".png", ".pdf", ".svg"), "--plot")
        check_target(save, (".npz", ".csv"), "--save")
        draw = None if plot is None else drawing()
        given = read_model(model, discount, option or [], check, FileOptions(terminal, rewards, normalise))
        asked = under(given, policy, horizon)
        mrp, described = asked.mrp, asked.words
        shown = which_states(states, mrp)
        method: Any
        if quantiles is None and horizon is not None and grid is None:
            if tight or tail is not None:
                raise ValueError("--horizon chooses the range of these returns; leave out --tight and --tail")
            method = distrl.CategoricalFixedPoint(atoms, solver=solver)
        elif quantiles is None:
            method = distrl.CategoricalFixedPoint(atoms=atoms, solver=solver)
            if mrp.uniform_discount != 1.0 or grid is not None or tight or tail is not None:
                ends = grid_of(mrp, 2 if atoms is None else atoms, grid, tight, tail)
                chosen = {"interval": (ends.low, ends.high)} if atoms is None else {"grid": ends}
                method = replace(method, **chosen)
            elif atoms is None and solver == "auto":
                method = None
        elif atoms is not None or grid is not None or tight or tail is not None or solver != "auto":
            raise ValueError("--quantiles needs no grid; leave out --atoms, --grid, --tight, --tail and --solver")
        else:
            method = distrl.QuantileDP(quantiles)
        with live_progress(progress) as hook:
            solution = distrl.evaluate(
                asked.model,
                method,
                asked.policy,
                tol=tol,
                max_iterations=max_iterations,
                throw=False,
                progress=hook or False,
                horizon=horizon,
            )
        show(solution, f"{model}: {described}", shown, level, wants_start=states is None)
        if save is not None:
            solution.save(save)
            print(f"wrote {save}")
        if draw is not None and plot is not None:
            draw(solution, shown, plot)
            print(f"wrote {plot}" + (f" (the first {MOST_CURVES} states)" if len(shown) > MOST_CURVES else ""))
    if solution.status is distrl.Status.INTERRUPTED:
        raise typer.Exit(INTERRUPTED)
    if not solution.converged:
        say(solution.status.value)
        raise typer.Exit(NOT_CONVERGED)


@app.command(help=options.OPTIMIZE_HELP)
def optimize(
    model: options.ModelArgument,
    objective: options.ObjectiveOption,
    at: options.At = None,
    weight: options.Weight = None,
    discount: options.Discount = None,
    horizon: options.Steps = None,
    option: options.MakeOptions = None,
    check: options.Check = True,
    terminal: options.Terminal = None,
    rewards: options.Rewards = None,
    normalise: options.Normalise = False,
    tol: options.GapTolerance = None,
    max_iterations: options.MostWork = None,
    frontier: options.FrontierOption = None,
    states: options.States = None,
    plot: options.DecisionPlot = None,
    save: options.DecisionSave = None,
    progress: options.ProgressOption = None,
) -> None:
    """Find the best policy: `OPTIMIZE_HELP` is what the terminal shows."""
    with one_sentence("ask for less with a larger --tol"), watch.told_to(once(f"note: {NOTE}")):
        # everything that can be refused is refused before the work
        sought = objective_of(objective, at, weight)
        others = None if frontier is None else parameters_of(frontier, sought)
        check_target(plot, (".png", ".pdf", ".svg"), "--plot")
        check_target(save, (".npz",), "--save")
        draw = None if plot is None else draws()
        given = read_model(model, discount, option or [], check, FileOptions(terminal, rewards, normalise))
        mdp = decides(given, model)
        shown = which_states(states, mdp)
        with live_progress(progress) as hook:
            ctl = distrl.optimize(
                mdp,
                sought,
                horizon=horizon,
                tol=tol,
                max_iterations=max_iterations,
                throw=False,
                progress=hook or False,
            )
        print(ctl.summary(shown))
        if save is not None:
            ctl.save(save)
            print(f"wrote {save}")
        band = None if others is None else frontier_of(ctl, others, shown)
        if draw is not None and plot is not None:
            draw(ctl, band, shown, plot)
            print(f"wrote {plot}" + (f" (the first {MOST_CURVES} states)" if len(shown) > MOST_CURVES else ""))
    if ctl.status is distrl.Status.INTERRUPTED:
        raise typer.Exit(INTERRUPTED)
    if not ctl.converged:
        say(ctl.outcome)
        raise typer.Exit(NOT_CONVERGED)


@app.command("warm-up")
def warm_up(
    verbs: Annotated[list[str] | None, typer.Argument(help="evaluate, estimate, learn, optimize; all if none.")] = None,
) -> None:
    """Compile what the verbs need, so that nothing waits for it later: a minute or two, once on each machine."""
    with one_sentence():
        distrl.warm_up(verbs)
