"""Pictures of return laws and of anything that has one number a state; needs the extra `plot` (matplotlib).

Nothing in distrl imports this package until something is drawn, and it imports nothing of what it draws: protocols say
what laws, certificates, models and runs have to have.
"""

try:
    import matplotlib as matplotlib
except ModuleNotFoundError as error:
    raise ModuleNotFoundError("plots need matplotlib: pip install 'distrl[plot]'", name="matplotlib") from error

from distrl.plotting.errors import plot_errors
from distrl.plotting.laws import plot_laws, plot_returns
from distrl.plotting.maps import plot_map
from distrl.plotting.policies import plot_policy
from distrl.plotting.style import DASHES, MARKERS, PALETTE, STYLE, save_figure

__all__ = [
    "DASHES",
    "MARKERS",
    "PALETTE",
    "STYLE",
    "plot_errors",
    "plot_laws",
    "plot_map",
    "plot_policy",
    "plot_returns",
    "save_figure",
]
