"""`learn`: return distributions from a stream of transitions.

Definitions. A transition (x, r, y) says that in state x the reward r came and y followed. For a policy, the return G(x)
is r + discount G(y) in law. A *target* is a sample of the right-hand side, in which the estimate at y stands for G(y).
A *rule* (`LearningRule`) keeps estimates of the laws, or of their means, and moves the one at x towards the target by a
step a. A *replication* is one stream of transitions and what is learnt from it.

Update. The modules `values`, `categorical`, `quantile` and `expectile` state theirs; each is a sampled step of the
operator of which dynamic programming (`distrl.dp`) makes full ones. Step a_k belongs to the k-th renewal of a state.

Termination with its guarantee. A run makes the updates that it was asked for: no stopping rule is sound without the
truth. Where sum a_k = inf and sum a_k^2 < inf, TD, Monte Carlo and categorical TD converge almost surely, quantile TD
under weaker conditions; `StepSize.robbins_monro` and `StepSize.quantile_convergent` say whether steps meet them. What a
finite run is worth is measured: `LearningRun.errors` and `interval` compare replications with a truth.

Source: Bellemare, Dabney, Rowland 2023, "Distributional Reinforcement Learning", chapters 3 and 6; each method's
docstring names its own.

Learning to act, by the same rules on (state, action) pairs, is `distrl.td.acting`: `MeanQ`, `CategoricalQ`,
`QuantileQ`, `ExpectileQ` and, for any rule, `QLearning`.

To write a method of your own, see `LearningRule` and, for what most share, `TDMethod`.
"""

from distrl.returns.moments import ValueEstimates
from distrl.td.acting.exploration import Exploration, LinearDecay
from distrl.td.acting.learner import ControlLearner
from distrl.td.acting.losses import TargetLosses, TargetPolicy
from distrl.td.acting.method import ActingMethod
from distrl.td.acting.methods import CategoricalQ, ExpectileQ, MeanQ, QLearning, QuantileQ
from distrl.td.acting.q import QMethod
from distrl.td.acting.run import ControlRun
from distrl.td.acting.target import TargetQ
from distrl.td.base import TDMethod
from distrl.td.categorical import CategoricalTD, VarianceReduced
from distrl.td.expectile import ExpectileTD
from distrl.td.learn import learn
from distrl.td.learner import Learner
from distrl.td.quantile import QuantileTD
from distrl.td.recorded import LearningStatus
from distrl.td.result import LearningRun
from distrl.td.rule import LearningRule, Memory
from distrl.td.sampling import Transitions
from distrl.td.sketch import SketchTD
from distrl.td.step_sizes import Constant, Harmonic, Listed, Polynomial, StepSize
from distrl.td.values import TD, MonteCarloTD

__all__ = [
    "TD",
    "ActingMethod",
    "CategoricalQ",
    "CategoricalTD",
    "Constant",
    "ControlLearner",
    "ControlRun",
    "ExpectileQ",
    "ExpectileTD",
    "Exploration",
    "Harmonic",
    "Learner",
    "LearningRule",
    "LearningRun",
    "LearningStatus",
    "LinearDecay",
    "Listed",
    "MeanQ",
    "Memory",
    "MonteCarloTD",
    "Polynomial",
    "QLearning",
    "QMethod",
    "QuantileQ",
    "QuantileTD",
    "SketchTD",
    "StepSize",
    "TDMethod",
    "TargetLosses",
    "TargetPolicy",
    "TargetQ",
    "Transitions",
    "ValueEstimates",
    "VarianceReduced",
    "learn",
]
