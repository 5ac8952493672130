"""The command `distrl`: the return distribution of a known model, from a shell. Needs the extra `cli` (typer, rich)."""

import ast
import re
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, NoReturn

import numpy as np

import distrl
from distrl._compiling import NOTE, watch
from distrl._display import OFF, at_most
from distrl._validation import FloatArray
from distrl.dp.progress import progress_hook
from distrl.models.from_gymnasium import constructor_defaults

try:
    import typer
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn
    from rich.table import Table
except ModuleNotFoundError as error:
    # the installed command begins here: a sentence instead of a traceback
    print(f"distrl: the command line needs {error.name}: pip install 'distrl[cli]'", file=sys.stderr)
    raise SystemExit(2) from error

_MOST_CURVES = 6
NOT_CONVERGED, BAD_INPUT, INTERRUPTED = 1, 2, 130

app = typer.Typer(
    name="distrl", no_args_is_help=True, add_completion=False, rich_markup_mode="rich", pretty_exceptions_enable=False
)

EVALUATE_HELP = """The return distribution of a known model under a policy, with a proven error bound.

[bold]MODEL[/bold] is a Gymnasium id with a transition table (FrozenLake-v1, CliffWalking-v1, Taxi-v3), an .npz file
made by distrl.save, or a PRISM .tra (.tra.gz) file with its companions (.srew, .trew, .lab) beside it.

Prints mean, sd, value at risk (the lower quantile) and conditional value at risk (the mean of the worst share) of the
return at the start, each with an interval that holds the true value, and the certificate: a bound on the Wasserstein-1
distance to the true law, per state. Numerical error is included in both.

[bold]Examples[/bold]

distrl evaluate FrozenLake-v1 --discount 0.99 --policy uniform --atoms 201 --plot f.png --save f.npz

distrl evaluate FrozenLake-v1 --discount 0.99 --option map_name=8x8 --option is_slippery=true --policy policy.npy

distrl evaluate CliffWalking-v1 --discount 1 --policy safe.csv --grid -200 0 --atoms 201

distrl evaluate model.npz --states 0,4-9 --save table.csv

distrl evaluate model.npz --quantiles 200

[bold]Exit status[/bold]: 0 solved; 1 not converged (what there is, is printed and saved, its certificate is valid);
2 bad input; 130 interrupted (likewise printed and saved).
"""
# a paragraph is one line to typer, which wraps it to the terminal
EVALUATE_HELP = re.sub(r"(?<!\n)\n(?!\n)", " ", EVALUATE_HELP)

_MODEL, _METHOD, _OUTPUT = "The model", "The method", "What comes out"
ModelArgument = Annotated[str, typer.Argument(help="A Gymnasium id, an .npz or a .tra file.", show_default=False)]
Discount = Annotated[
    float | None,
    typer.Option(
        help="In [0, 1]. An .npz file has its own, which this overrides; needed otherwise.", rich_help_panel=_MODEL
    ),
]
PolicyOption = Annotated[
    str | None,
    typer.Option(
        help="'uniform', or a .npy, .csv or .txt file with (S,) actions or (S, A) probabilities. "
        "An MDP's default is uniform.",
        show_default=False,
        rich_help_panel=_MODEL,
    ),
]
MakeOptions = Annotated[
    list[str] | None,
    typer.Option(
        "--option",
        help="KEY=VALUE for gymnasium.make; may be repeated. VALUE: a number, a Python list or tuple, yes or no "
        "(true, false, on, off), none, or text; in quotes it is always text.",
        rich_help_panel=_MODEL,
    ),
]
Check = Annotated[
    bool,
    typer.Option(
        "--check/--no-check",
        help="Gymnasium: compare some hundred steps of the environment with its table.",
        rich_help_panel=_MODEL,
    ),
]
Terminal = Annotated[
    str | None, typer.Option(help="PRISM: the label of the states where the return ends.", rich_help_panel=_MODEL)
]
Rewards = Annotated[
    str | None,
    typer.Option(
        help="PRISM: which of several reward structures, by number or name.", show_default=False, rich_help_panel=_MODEL
    ),
]
Normalise = Annotated[
    bool,
    typer.Option(
        "--normalise",
        help="PRISM: divide rows that do not sum to 1 by their sum; a note says how far off they were.",
        rich_help_panel=_MODEL,
    ),
]
Atoms = Annotated[
    int | None,
    typer.Option(
        help="Number of atoms of the grid. Default: rounding to them is at most 1% of the standard deviation of every "
        "return, 51 to 2,001.",
        show_default=False,
        rich_help_panel=_METHOD,
    ),
]
GridOption = Annotated[
    tuple[float, float] | None,
    typer.Option(
        metavar="LOW HIGH",
        help="The grid's ends, in units of reward. Default: the smallest interval on which nothing is ever clipped.",
        show_default=False,
        rich_help_panel=_METHOD,
    ),
]
Tight = Annotated[
    bool,
    typer.Option(
        "--tight",
        help="Grid on the range of attainable returns: finer; may clip a little, and the certificate counts it.",
        rich_help_panel=_METHOD,
    ),
]
Tail = Annotated[
    float | None,
    typer.Option(
        help="Cut unbounded reward laws at this probability; with --tight at discount 1, cut episodes too.",
        rich_help_panel=_METHOD,
    ),
]
Solver = Annotated[str, typer.Option(help="auto, direct, krylov or iterate.", rich_help_panel=_METHOD)]
Quantiles = Annotated[
    int | None,
    typer.Option(
        help="That many equally weighted quantiles instead of a grid: also for unbounded rewards.",
        show_default=False,
        rich_help_panel=_METHOD,
    ),
]
Tolerance = Annotated[
    float | None,
    typer.Option(
        help="Bound on the iteration error, W1 in units of reward. Default: 1e-12 of the grid's width or less.",
        show_default=False,
        rich_help_panel=_METHOD,
    ),
]
MaxIterations = Annotated[
    int | None,
    typer.Option(help="Limit on applications of the operator.", show_default=False, rich_help_panel=_METHOD),
]
States = Annotated[
    str | None,
    typer.Option(
        help="States to print and plot: 0,4-9 or all. Default: where the model starts.",
        show_default=False,
        rich_help_panel=_OUTPUT,
    ),
]
Level = Annotated[float, typer.Option(help="Tail probability of VaR and CVaR.", rich_help_panel=_OUTPUT)]
PlotOption = Annotated[
    Path | None, typer.Option(help="Draw the laws: .png, .pdf or .svg.", show_default=False, rich_help_panel=_OUTPUT)
]
SaveOption = Annotated[
    Path | None,
    typer.Option(
        help="All states: .npz (laws and certificate) or .csv (table).", show_default=False, rich_help_panel=_OUTPUT
    ),
]
ProgressOption = Annotated[
    bool | None,
    typer.Option(
        "--progress/--no-progress",
        help="A bar on stderr. Default: where stderr is a terminal.",
        show_default=False,
        rich_help_panel=_OUTPUT,
    ),
]


def main() -> None:
    """Run the command; every error is one sentence on stderr."""
    try:
        status = app(prog_name="distrl", standalone_mode=False)
    except (KeyboardInterrupt, typer.Abort):  # before there was anything to show
        _say("interrupted")
        status = INTERRUPTED
    except Exception as error:
        # usage errors; they know their exit code, whichever library raised them
        if not hasattr(error, "exit_code") or not hasattr(error, "format_message"):
            raise
        if message := error.format_message():  # empty where the help was shown instead
            _say(message + _see_help(error))
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


@app.command(help=EVALUATE_HELP)
def evaluate(
    model: ModelArgument,
    discount: Discount = None,
    policy: PolicyOption = None,
    option: MakeOptions = None,
    check: Check = True,
    terminal: Terminal = None,
    rewards: Rewards = None,
    normalise: Normalise = False,
    atoms: Atoms = None,
    grid: GridOption = None,
    tight: Tight = False,
    tail: Tail = None,
    solver: Solver = "auto",
    quantiles: Quantiles = None,
    tol: Tolerance = None,
    max_iterations: MaxIterations = None,
    states: States = None,
    level: Level = 0.05,
    plot: PlotOption = None,
    save: SaveOption = None,
    progress: ProgressOption = None,
) -> None:
    with _one_sentence(), watch.told_to(_once(f"note: {NOTE}")):
        # everything that can be refused is refused before the work
        if not 0.0 < level < 1.0:
            raise ValueError(f"--level must lie in (0, 1), got {level:g}")
        _check_target(plot, (".png", ".pdf", ".svg"), "--plot")
        _check_target(save, (".npz", ".csv"), "--save")
        draw = None if plot is None else _drawing()
        given = _read_model(model, discount, option or [], check, terminal, rewards, normalise)
        mrp, described = _under(given, policy)
        shown = _which_states(states, mrp)
        method: Any
        if quantiles is None:
            method = distrl.CategoricalFixedPoint(solver=solver)
            ends = _grid(mrp, 2 if atoms is None else atoms, grid, tight, tail)
            method = replace(method, interval=(ends.low, ends.high)) if atoms is None else replace(method, grid=ends)
        elif atoms is not None or grid is not None or tight or tail is not None or solver != "auto":
            raise ValueError("--quantiles needs no grid; leave out --atoms, --grid, --tight, --tail and --solver")
        else:
            method = distrl.QuantileDP(quantiles)
        with _progress(progress) as hook:
            solution = distrl.evaluate(
                mrp, method, tol=tol, max_iterations=max_iterations, throw=False, progress=hook or False
            )
        _print(solution, f"{model}: {described}", shown, level, wants_start=states is None)
        if save is not None:
            solution.save(save)
            print(f"wrote {save}")
        if draw is not None and plot is not None:
            draw(solution, shown, plot)
            print(f"wrote {plot}" + (f" (the first {_MOST_CURVES} states)" if len(shown) > _MOST_CURVES else ""))
    if solution.status is distrl.Status.INTERRUPTED:
        raise typer.Exit(INTERRUPTED)
    if not solution.converged:
        _say(solution.status.value)
        raise typer.Exit(NOT_CONVERGED)


@app.command("warm-up")
def warm_up(
    verbs: Annotated[list[str] | None, typer.Argument(help="evaluate, estimate, learn; all by default.")] = None,
) -> None:
    """Compile what the verbs need, so that nothing waits for it later: a minute or two, once on each machine."""
    with _one_sentence():
        distrl.warm_up(verbs)


def _say(message: str) -> None:
    """One sentence on stderr."""
    print(f"distrl: {' '.join(message.split())}", file=sys.stderr)


@contextmanager
def _one_sentence() -> Iterator[None]:
    """Turn refusals into a sentence and exit status 2, and warnings into notes."""

    def note(message: Any, *_: Any, **__: Any) -> None:
        _say("note: " + re.sub(r"\x1b\[[0-9;]*m", "", str(message)))

    with warnings.catch_warnings():
        warnings.showwarning = note
        try:
            yield
        except (ValueError, TypeError, IndexError, ModuleNotFoundError, OSError) as error:
            _fail(str(error))
        except MemoryError:
            _fail("the problem does not fit into memory; use fewer --atoms")


def _fail(message: str) -> NoReturn:
    _say(message)
    raise typer.Exit(BAD_INPUT)


def _check_target(path: Path | None, suffixes: tuple[str, ...], option: str) -> None:
    if path is None:
        return
    if path.suffix not in suffixes:
        raise ValueError(f"{option} {path}: the name must end in {', '.join(suffixes[:-1])} or {suffixes[-1]}")
    if not path.parent.is_dir():
        raise ValueError(f"{option} {path}: the folder {path.parent} does not exist")


def _read_model(
    name: str,
    discount: float | None,
    options: list[str],
    check: bool,
    terminal: str | None,
    rewards: str | None,
    normalise: bool,
) -> "distrl.MRP | distrl.MDP":
    kind = ".tra" if name.endswith(".tra.gz") else Path(name).suffix
    if (options or not check) and kind in (".npz", ".tra"):
        raise ValueError("--option is for gymnasium.make and --no-check for its environments; a file takes none")
    prism = {"--terminal": terminal is not None, "--rewards": rewards is not None, "--normalise": normalise}
    if kind != ".tra" and any(prism.values()):
        given = " and ".join(option for option, used in prism.items() if used)
        raise ValueError(f"{given} is for PRISM files; other models know where they end and what they pay")
    if kind == ".npz":
        model = distrl.load(name)
        if not isinstance(model, distrl.MRP | distrl.MDP):
            raise ValueError(f"{name} holds a {type(model).__name__}, not a model")
        if discount is None:
            return model
        return type(model)._from_table(model.outcomes, discount, model.initial, model.layout)
    if kind != ".tra" and ("/" in name or Path(name).is_file()) and not re.search(r"-v\d+$", name):
        raise ValueError(f"cannot tell what {name} is; a model file ends in .npz or .tra")
    if discount is None:
        raise ValueError(f"{name} does not say how returns are discounted; give --discount, for example 0.99")
    if kind == ".tra":
        which = int(rewards) if rewards is not None and re.fullmatch("[0-9]{1,9}", rewards) else rewards
        return distrl.read_prism(name, discount, which, terminal, normalise=normalise)
    return distrl.from_gymnasium(name, discount, check, **_make_options(name, options))


def _make_options(name: str, options: list[str]) -> dict[str, Any]:
    """`map_name=8x8` and `is_slippery=no` as keywords of the environment's constructor."""
    defaults = constructor_defaults(name) if options else {}
    found: dict[str, Any] = {}
    for text in options:
        key, equals, value = text.partition("=")
        if not equals or not key.isidentifier():
            raise ValueError(f"--option {text}: expected KEY=VALUE, for example map_name=8x8")
        if key in found or key in ("discount", "check", "env_or_id"):
            raise ValueError(f"--option {text}: {key} " + ("is given twice" if key in found else "is no option of it"))
        found[key] = _option_value(value, defaults.get(key))
    return found


def _option_value(text: str, default: Any) -> Any:
    """`text` as a literal where it is one; a parameter whose default is text takes text, unless it is "none"."""
    words: dict[str, bool | None] = {"none": None}
    if not isinstance(default, str):
        words |= dict.fromkeys(("true", "yes", "on"), True) | dict.fromkeys(("false", "no", "off"), False)
    if text.lower() in words:
        return words[text.lower()]
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
    return value if isinstance(value, str) or not isinstance(default, str) else text


def _under(model: "distrl.MRP | distrl.MDP", policy: str | None) -> "tuple[distrl.MRP, str]":
    """The MRP to solve, and what it is in words."""
    if isinstance(model, distrl.MRP):
        if policy is not None:
            raise ValueError("the model is a Markov reward process and has no actions; leave --policy out")
        return model, f"{_count(model.n_states, 'state')}, discount {model.discount:g}"
    name = "uniform" if policy is None else policy
    chosen = name if name == "uniform" else _read_policy(Path(name))
    mrp = model.under(chosen)
    sizes = f"{_count(model.n_states, 'state')}, {_count(model.n_actions, 'action')}"
    return mrp, f"{sizes}, discount {model.discount:g}, policy {name}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _read_policy(path: Path) -> FloatArray:
    readers: dict[str, Callable[[], Any]] = {
        ".npy": lambda: np.load(path, allow_pickle=False),
        ".csv": lambda: np.loadtxt(path, delimiter=",", encoding="utf-8-sig"),
        ".txt": lambda: np.loadtxt(path, encoding="utf-8-sig"),
    }
    if path.suffix not in readers:
        raise ValueError(f"--policy {path}: expected 'uniform' or a .npy, .csv or .txt file")
    if not path.is_file():
        raise ValueError(f"--policy {path}: there is no such file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # an empty file is only a warning to NumPy
            return np.asarray(readers[path.suffix]())
    except Exception as error:
        raise ValueError(f"--policy {path} is not an array of numbers: {error}") from error


def _grid(
    mrp: "distrl.MRP", atoms: int, ends: tuple[float, float] | None, tight: bool, tail: float | None
) -> "distrl.Grid":
    if ends is not None:
        if tight or tail is not None:
            raise ValueError("--grid says where the grid is; leave out --tight and --tail")
        return distrl.Grid(*ends, atoms)
    if not np.isfinite(mrp.outcomes.reward_ranges(tail)).all():
        raise ValueError(
            "the rewards are unbounded, so no grid holds every return; give --grid LOW HIGH, or --tail 1e-6 to cut "
            "their laws there"
        )
    if mrp.discount == 1.0 and not tight:
        raise ValueError(
            "at discount 1 nothing bounds the return in advance, so there is no grid to choose for you; give --grid "
            "LOW HIGH, or --tight --tail 1e-9 to hold all but that probability of the episodes"
        )
    if tight:
        try:
            return distrl.Grid.tight(mrp, atoms, tail=tail)
        except ValueError:
            if tail is not None or mrp.discount < 1.0:
                raise
        raise ValueError("at discount 1 these episodes have no longest one; add --tail 1e-9, or give --grid LOW HIGH")
    return distrl.Grid.covering(mrp, atoms, tail=tail)


def _which_states(text: str | None, mrp: "distrl.MRP") -> list[int]:
    """The states of "0,4-9", of "all", or by default the first few that the model starts in."""
    if text is None:
        starts = np.arange(mrp.n_states) if mrp.initial is None else np.flatnonzero(mrp.initial)
        return [int(s) for s in starts[:8]]
    if text == "all":
        return list(range(mrp.n_states))
    chosen: list[int] = []
    for part in text.split(","):
        found = re.fullmatch(r"\s*(\d+)(?:-(\d+))?\s*", part)
        if not found:
            raise ValueError(f"--states {text}: expected numbers and ranges such as 0,4-9, or all")
        first, last = int(found[1]), int(found[2] or found[1])
        if not first <= last < mrp.n_states:
            raise ValueError(f"--states {part.strip()}: the states are 0..{mrp.n_states - 1}")
        chosen += range(first, last + 1)
    return chosen


def _drawing() -> "Callable[[distrl.Solution, list[int], Path], None]":
    """How to plot; importing matplotlib now tells early that it is missing."""
    from distrl.plotting import plot_returns, save_figure

    def draw(solution: "distrl.Solution", states: list[int], path: Path) -> None:
        axes = plot_returns(solution.returns, states[:_MOST_CURVES], certificate=solution.certificate)
        save_figure(axes.figure, path)

    return draw


@contextmanager
def _progress(asked: bool | None) -> Iterator[Any]:
    """A hook for `progress=`, or None: a live bar on a terminal, tqdm's lines where a log was asked for."""
    if asked is False or not sys.stderr.isatty():
        hook, close = progress_hook(bool(asked))
        try:
            yield hook
        finally:
            close()
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        live = _Live(bar)
        with watch.told_to(live.compiling):
            yield live


class _Live:
    """A hook that shows the phase, the bound and the time left on a live bar."""

    def __init__(self, bar: Progress) -> None:
        self._bar, self._last, self._words = bar, 0.0, "preparing"
        self._task = bar.add_task("preparing", total=None)

    def __call__(self, share: float, applications: int, bound: float) -> None:
        if (now := time.monotonic()) - self._last > 0.1:
            self._last = now
            known = f": error bound {bound:.2g}" if bound == bound else ""
            self._bar.update(self._task, total=1.0, completed=share, description=self._words + known)

    def phase(self, words: str) -> None:
        self._words = words
        self._bar.update(self._task, total=None, description=words)

    def compiling(self, kernel: str) -> None:
        self._bar.update(self._task, description=f"compiling {kernel}, once")


def _once(sentence: str) -> Callable[[str], None]:
    """Say the sentence at the first of many calls."""
    waiting = [sentence]

    def tell(kernel: str) -> None:
        if waiting:
            _say(waiting.pop())

    return tell


def _print(solution: "distrl.Solution", title: str, states: list[int], level: float, wants_start: bool) -> None:
    certificate = solution.certificate
    if certificate is None:
        raise TypeError(f"{solution.method!r} gives no certificate")
    console = Console(soft_wrap=True, highlight=False)
    console.print(f"[bold]{escape(title)}[/bold]")
    console.print(escape(solution.status.value))
    console.print(
        f"solver {solution.solver}: {solution.iterations} applications, {solution.elapsed:.2g} s "
        f"({escape(solution.reason)})"
    )
    console.print(escape(solution.ended))
    if isinstance(solution.returns, distrl.CategoricalReturns):
        grid = solution.returns.grid
        clipped = f", clips probability {solution.clipped_mass:.2g} a step" if solution.clipped_mass > 0 else ""
        console.print(
            f"grid: {grid.atoms} atoms on \\[{grid.low:g}, {grid.high:g}], spacing {grid.spacing:.4g}{escape(clipped)}"
        )
    worst = int(np.argmax(certificate.w1))
    console.print(
        f"certificate: W1 to {certificate.of} <= {at_most(certificate.w1[worst], 4)} in every state "
        f"(the worst is {worst}) \\[{certificate.claim}]"
    )
    if certificate.overshoot[worst] > 0.5 * certificate.w1[worst]:
        console.print("most of it is clipping: a wider --grid makes it smaller")
    said, table = _table(solution, states, level, wants_start)
    console.print(said)
    console.print(table)
    left = solution.model.n_states - len(set(states))
    if left and not (wants_start and solution.model.initial is not None):
        console.print(f"and {_count(left, 'more state')}: --states all prints, --save keeps them")


def _table(solution: "distrl.Solution", states: list[int], level: float, wants_start: bool) -> tuple[str, Table]:
    """What the intervals are, and a row for the start and for every state: values over their intervals."""
    functionals = (distrl.Mean(), distrl.Std(), distrl.Quantile(level), distrl.CVaR(level))
    said, columns = solution.columns(states, functionals)
    initial = solution.model.initial
    if wants_start and initial is not None and np.count_nonzero(initial) > 1:
        first = solution.start_row(functionals)
        columns = {name: [first[name], *cells] for name, cells in columns.items()}
    starred = any("*" in cell for cells in columns.values() for cell in cells)
    table = Table(caption=OFF if starred else None, caption_justify="left")
    for name in columns:
        table.add_column(name, justify="right")
    for row in zip(*columns.values(), strict=True):
        table.add_row(*(cell.replace(", ", ",\n").replace(" [", "\n\\[") for cell in row))
    return said, table
