"""What may be typed after `distrl evaluate` and `distrl optimize`, and what their help says of it."""

import re
from pathlib import Path
from typing import Annotated

import typer

EVALUATE_HELP = """The return distribution of a known model under a policy, with a proven error bound.

[bold]MODEL[/bold] is a Gymnasium id with a transition table (FrozenLake-v1, CliffWalking-v1, Taxi-v3), an .npz file
made by distrl.save, a PRISM .tra (.tra.gz) file with its companions (.srew, .trew, .lab) beside it, a .drn file of
Storm, an .MDP file of Cassandra's pomdp-solve, or a planning course's .txt file (numStates, numActions, transition).

Prints mean, sd, value at risk (the lower quantile) and conditional value at risk (the mean of the worst share) of the
return at the start, each with an interval that holds the true value, and the certificate: a bound on the Wasserstein-1
distance to the true law, per state. Numerical error is included in both.

[bold]Examples[/bold]

distrl evaluate FrozenLake-v1 --discount 0.99 --policy uniform --atoms 201 --plot f.png --save f.npz

distrl evaluate FrozenLake-v1 --discount 0.99 --option map_name=8x8 --option is_slippery=true --policy policy.npy

distrl evaluate CliffWalking-v1 --discount 1 --policy safe.csv --grid -200 0 --atoms 201

distrl evaluate model.npz --states 0,4-9 --save table.csv

distrl evaluate Taxi-v3 --discount 1 --horizon 100 --atoms 201

distrl evaluate model.npz --quantiles 200

[bold]Exit status[/bold]: 0 solved; 1 not converged (what there is, is printed and saved, its certificate is valid);
2 bad input; 130 interrupted (likewise printed and saved).
"""
OPTIMIZE_HELP = """The best policy of a known model for a mean or a risk, with bounds that hold for certain.

[bold]MODEL[/bold] is a Gymnasium id with a transition table, or a file, as for [bold]distrl evaluate[/bold].

Prints how the work ended and, for every state, the first action, the value of the policy, and an interval that holds
this value and the best one over all policies, whatever they remember. Numerical error is included.

[bold]Examples[/bold]

distrl optimize FrozenLake-v1 --discount 0.99 --objective cvar --at 0.25 --save policy.npz

distrl optimize model.npz --objective cvar --at 0.1 --frontier 0.05,0.1,0.5 --plot frontier.png

distrl optimize model.npz --objective mean_cvar --at 0.1 --weight 0.5 --states 0,4-9

distrl optimize CliffWalking-v1 --discount 1 --objective entropic_risk --at -0.1 --plot law.png

distrl optimize Taxi-v3 --discount 1 --objective mean --horizon 100

[bold]Exit status[/bold]: 0 solved; 1 the gap is above --tol (what there is, is printed and saved, its bounds are
valid); 2 bad input; 130 interrupted (likewise printed and saved).
"""
# a paragraph is one line to typer, which wraps it to the terminal
EVALUATE_HELP, OPTIMIZE_HELP = (re.sub(r"(?<!\n)\n(?!\n)", " ", text) for text in (EVALUATE_HELP, OPTIMIZE_HELP))

_MODEL, _METHOD, _OUTPUT = "The model", "The method", "What comes out"
_OBJECTIVE = "The objective"
ModelArgument = Annotated[
    str, typer.Argument(help="A Gymnasium id, or an .npz, .tra, .drn, .MDP or .txt file.", show_default=False)
]
Discount = Annotated[
    float | None,
    typer.Option(
        help="In [0, 1]. Files .npz, .MDP and .txt have their own, which this overrides; needed otherwise.",
        rich_help_panel=_MODEL,
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
Horizon = Annotated[
    int | None,
    typer.Option(
        help="The return of that many steps, 0 after them; a policy may depend on the step, (H, S) or (H, S, A). "
        "Default: returns go on until they end.",
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
    str | None,
    typer.Option(help="PRISM, Storm: the label of the states where the return ends.", rich_help_panel=_MODEL),
]
Rewards = Annotated[
    str | None,
    typer.Option(
        help="PRISM, Storm: which of several reward structures, by number or name.",
        show_default=False,
        rich_help_panel=_MODEL,
    ),
]
Normalise = Annotated[
    bool,
    typer.Option(
        "--normalise",
        help="Files of text: divide rows that do not sum to 1 by their sum; a note says how far off they were.",
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
        help="The grid's ends, in units of reward. Default: the smallest interval on which nothing is ever clipped; "
        "at discount 1 what returns reach.",
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
        help="Cut unbounded reward laws at this probability; at discount 1, cut returns too.",
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
        help="States to print and plot: 0,4-9, names, or all. Default: where the model starts.",
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

# -- of optimize alone -------------------------------------------------------------------------------------------------

ObjectiveOption = Annotated[
    str,
    typer.Option(
        help="mean, cvar, mean_cvar, shortfall, mean_variance, probability_above, quantile, entropic_risk, evar or "
        "nested_cvar. A shortfall is to be small, the others large.",
        show_default=False,
        rich_help_panel=_OBJECTIVE,
    ),
]
At = Annotated[
    float | None,
    typer.Option(
        help="Its level in (0, 1], the worst share; the target of a shortfall or of probability_above; the weight of "
        "the variance in mean_variance; the beta of entropic_risk, below 0 averse.",
        show_default=False,
        rich_help_panel=_OBJECTIVE,
    ),
]
Weight = Annotated[
    float | None,
    typer.Option(help="The mean's share in mean_cvar.", show_default=False, rich_help_panel=_OBJECTIVE),
]
Steps = Annotated[
    int | None,
    typer.Option(
        "--horizon",
        help="The return of that many steps, 0 after them; the policy depends on the step then. "
        "Default: returns go on until they end.",
        show_default=False,
        rich_help_panel=_MODEL,
    ),
]
GapTolerance = Annotated[
    float | None,
    typer.Option(
        "--tol",
        help="What the gap of the bounds is to be at most at every state, in units of the objective. Default: 1% of "
        "the values' size.",
        show_default=False,
        rich_help_panel=_METHOD,
    ),
]
MostWork = Annotated[
    int | None,
    typer.Option(
        "--max-iterations",
        help="Limit on the method's sweeps, steps or policies.",
        show_default=False,
        rich_help_panel=_METHOD,
    ),
]
FrontierOption = Annotated[
    str | None,
    typer.Option(
        metavar="NUMBERS",
        help="More levels, targets or betas, such as 0.05,0.1,0.5: the best values for them, from the same solve.",
        show_default=False,
        rich_help_panel=_OUTPUT,
    ),
]
DecisionPlot = Annotated[
    Path | None,
    typer.Option(
        "--plot",
        help="Draw the laws of the return under the policy, with --frontier the frontier: .png, .pdf or .svg.",
        show_default=False,
        rich_help_panel=_OUTPUT,
    ),
]
DecisionSave = Annotated[
    Path | None,
    typer.Option(
        "--save",
        help="An .npz file with policy, values and bounds, for distrl.load.",
        show_default=False,
        rich_help_panel=_OUTPUT,
    ),
]
