"""Return laws: what they are, and what every representation of them can be asked.

**The object.** From a state x the return is the random number G(x) = sum_t discount^t R_t. A result holds a batch of
laws Z, one for each state: the batch shape is (S,), or (S, A) for the laws of actions, or () for the law of one state,
`returns[s]`. Values are in units of reward. In the costs n is the number of values of a law, B the number of laws and
K the number of arguments.

**The questions.** A functional reads a number from a law. All laws are asked at once: an answer has the batch shape,
followed by the length of an array argument.

| method | answer |
|---|---|
| `mean()`, `var()`, `std()` | E Z, E (Z - E Z)^2 and its root |
| `cdf(x)`, `quantile(q)` | F(x) = P(Z <= x), inf{x : F(x) >= q} |
| `cvar(level, tail)` | the mean of the worst, or best, mass `level` |
| `expectile(tau)`, `entropic_risk(beta)`, `stop_loss(k)` | see there |

**The representations.** `FiniteReturns` are laws of finitely many values, which answer every question exactly:
`CategoricalReturns` on one grid, `QuantileReturns` with equal weights, `ParticleReturns`, `ExpectileReturns`. Other
results know less: `MomentReturns` and `ValueEstimates` know moments, `BracketReturns` two laws that enclose the true
one. A question that a representation cannot answer is `NotKnown`, and the sentence says what can answer it.

**Your own.** A law with finitely many values inherits from `FiniteReturns` and supplies `batch_shape`,
`support_weights`, `arrays` and `__getitem__`; functionals, samples, mixtures, metrics and plots then work. Any other
law inherits from `Returns`, supplies `batch_shape`, `mean`, `arrays` and `__getitem__`, and answers what it can.

Source of the representations: Bellemare, Dabney and Rowland 2023, "Distributional Reinforcement Learning", chapter 5.
"""

from abc import abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, ClassVar, NoReturn, Protocol, Self

from numpy.typing import ArrayLike

from distrl._validation import FloatArray, RandomSource
from distrl.returns.arrays import StateIndex
from distrl.returns.export import ToXarray

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class NotKnown(TypeError, ValueError):
    """These laws do not answer the question; the sentence says what does."""


class Question(Protocol):
    """What a column of a table asks: a `Functional`, for example."""

    @property
    def label(self) -> str:
        """The heading of the column."""

    def value(self, returns: "Returns", /) -> FloatArray:
        """The answer of every law; `NotKnown` where the laws have none."""


class Returns(ToXarray):
    """The return laws of a batch of states; the module says what they are.

    A representation supplies `batch_shape`, `mean`, `arrays` and `__getitem__`, and overrides the questions that it can
    answer. The others raise `NotKnown` with the sentence `why_not`.
    """

    #: What is known of these laws, and what to solve with instead.
    why_not: ClassVar[str] = "these laws do not say that"
    #: Whether moments are all that is known: nothing then has a distance to these laws, but means can be compared.
    moments_alone: ClassVar[bool] = False

    @property
    @abstractmethod
    def batch_shape(self) -> tuple[int, ...]:
        """The shape of the batch of laws: (), (S,) or (S, A)."""

    @abstractmethod
    def mean(self) -> FloatArray:
        """E Z, shape batch, in units of reward. Time O(B n) for laws of finitely many values."""

    @abstractmethod
    def arrays(self) -> dict[str, FloatArray]:
        """All that is needed to state these laws again, by name: what `Solution.save` writes."""

    @abstractmethod
    def __getitem__(self, index: StateIndex) -> Self:
        """The laws of some states: an int, a slice, an array of ints or a mask, or a tuple of them."""

    @property
    def spacing(self) -> float | None:
        """The distance between neighbouring values, in units of reward; None where the values are on no grid."""
        return None

    def mix(self, weights: ArrayLike) -> "Returns":
        """The law, batch (), of the return from a random state: the mixture sum_s weights[s] Z(s).

        Parameters
        ----------
        weights : (S,) probabilities over the first axis: >= 0, their sum 1 within 1e-9

        Raises
        ------
        NotKnown
            If the representation gives no law to mix.
        ValueError, TypeError
            If there is not one weight for each state, or naming the weight that is no probability.
        """
        raise NotKnown(f"{type(self).__name__} gives no law to mix; look at returns[state]")

    def columns(self, questions: Iterable[Question]) -> dict[str, FloatArray]:
        """What a table shows of these laws: the label of each of `questions` that they answer, and the answer."""
        found = {}
        for question in questions:
            with suppress(NotKnown):
                found[question.label] = question.value(self)
        return found

    def describe(self) -> str:
        """What `repr` and the command line say of the support; empty where there is nothing to say."""
        return ""

    def __len__(self) -> int:
        if not self.batch_shape:
            raise TypeError("the law of one state has no length")
        return self.batch_shape[0]

    def __iter__(self) -> Iterator[Self]:
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:
        shape = self.batch_shape
        count = "one law" if not shape else f"{' x '.join(map(str, shape))} {'states' if len(shape) == 1 else 'laws'}"
        parts = [count, self.describe()]
        if not shape:
            parts.append(f"mean={float(self.mean()):.6g}")
            with suppress(NotKnown):
                parts.append(f"std={float(self.std()):.6g}")
        return f"{type(self).__name__}({', '.join(filter(None, parts))})"

    def var(self) -> FloatArray:
        """E (Z - E Z)^2, shape batch, in squared units of reward; summed around the mean, never negative. O(B n).

        inf (or 0) where that is beyond float64; `std` is still right then.
        """
        self._refuse()

    def std(self) -> FloatArray:
        """sqrt(E (Z - E Z)^2), shape batch, in units of reward. O(B n)."""
        self._refuse()

    def cdf(self, x: ArrayLike) -> FloatArray:
        """P(Z <= x).

        Parameters
        ----------
        x : scalar or (K,), infinities allowed

        Returns
        -------
        array, batch or batch + (K,)
            In [0, 1]. The comparison is exact: for an atom take it from the law's own atoms. Time O(B (n + K log n)).

        Raises
        ------
        ValueError, TypeError
            If `x` is not a number or a list of numbers, or is NaN.
        """
        self._refuse()

    def quantile(self, q: ArrayLike) -> FloatArray:
        """The lower quantile inf{x : F(x) >= q}.

        Parameters
        ----------
        q : scalar or (K,)
            Levels in [0, 1]. F is compared with q - 1e-9, so that rounding of a cumulative mass does not move the
            answer to the next atom; 0 gives the smallest value of mass above 1e-15.

        Returns
        -------
        array, batch or batch + (K,)
            Time O(B (n + K log n)).

        Raises
        ------
        ValueError
            If a level is outside [0, 1].
        """
        self._refuse()

    def cvar(self, level: ArrayLike, tail: str = "lower") -> FloatArray:
        """The conditional value at risk: the mean of the worst, or the best, mass `level`.

        lower: (1/level) int_0^level F^{-1}(u) du; upper: (1/level) int_{1-level}^1 F^{-1}(u) du. An atom across the
        level counts with the part that is needed, so the value is exact and continuous in the level.

        Parameters
        ----------
        level : scalar or (K,), in (0, 1]; at 1 it is the mean
        tail : {"lower", "upper"}
            lower averages the smallest returns, the bad ones for a reward; upper the largest.

        Returns
        -------
        array, batch or batch + (K,)
            Time O(B K n).

        Raises
        ------
        ValueError
            If a level is outside (0, 1] or `tail` is neither of the two words.
        """
        self._refuse()

    def entropic_risk(self, beta: ArrayLike) -> FloatArray:
        """(1/beta) log E exp(beta Z); the mean at beta = 0.

        Sign: for a reward beta < 0 is risk averse (below the mean), beta > 0 risk seeking (above it).

        Parameters
        ----------
        beta : scalar or (K,)
            Finite, in 1/units of reward. Large values neither overflow nor lose the small ones.

        Returns
        -------
        array, batch or batch + (K,)
            Time O(B K n).

        Raises
        ------
        ValueError, TypeError
            If `beta` is not finite or not a number.
        """
        self._refuse()

    def expectile(self, tau: ArrayLike) -> FloatArray:
        """The e with tau E(Z - e)+ = (1 - tau) E(e - Z)+, exact; the mean at tau = 1/2.

        Parameters
        ----------
        tau : scalar or (K,), in (0, 1)

        Returns
        -------
        array, batch or batch + (K,)
            Time O(B K n).

        Raises
        ------
        ValueError
            If a level is outside (0, 1).
        """
        self._refuse()

    def stop_loss(self, k: ArrayLike) -> FloatArray:
        """E[(Z - k)+].

        Parameters
        ----------
        k : scalar or (K,), finite

        Returns
        -------
        array, batch or batch + (K,)
            Without cancellation. Time O(B (n + K log n)).

        Raises
        ------
        ValueError, TypeError
            If `k` is not finite or not a number.
        """
        self._refuse()

    def sample(self, n: int, rng: RandomSource = None) -> FloatArray:
        """`n` independent draws of every law, independent between the laws, shape batch + (n,).

        Parameters
        ----------
        n : int, at least 0
        rng : anything `numpy.random.default_rng` takes; the same gives the same draws

        Raises
        ------
        ValueError, TypeError
            If `n` is not a whole number >= 0, or `rng` no seed or generator.
        """
        self._refuse()

    def plot(self, states: StateIndex | None = None, **options: object) -> "Axes":
        """Draw the laws of `states` (all, or the first few when left out); needs the extra `plot` (matplotlib).

        See `distrl.plotting.plot_returns` for the options and what is returned.
        """
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise NotKnown(self.why_not)
