"""Mean less a multiple of the variance: the least E G^2 - 2 b E G at every target b, enclosed on knots that follow it.

With q(x, b) = min over policies of E_x G^2 - 2 b E_x G,

    max over policies of E G - w Var G = max_c {c - 1 / (4 w) - w (c^2 + q(x, c))}

(complete the square in c). q is concave in b: chords between values that are below it are below it, and it is the least
of lines, each of a policy's mean and mean square. Knots are added where two lines meet.
"""

from typing import NamedTuple

import numpy as np

from distrl._kernels import mean_variance as kernels
from distrl._tolerances import EPS
from distrl._validation import FloatArray, IntArray
from distrl.control.target.nodes import NodeRule, made_ending
from distrl.control.target.problem import Known
from distrl.control.target.unrolled import Unrolled, pointers
from distrl.dp.call import Call

_FIRST = 17  # knots of a state
_FAR = 300.0  # half widths of the returns' range, that they reach
_BATCH = 4  # sweeps, a look at the gap
_SLOW = 0.4  # of what discounting alone takes off the gap in a batch: knots where sweeps take less are left
_BLUNT = 1e-9  # of it, and no knot is worth anything
_SHARE = 0.5  # of the gap that is asked for, what a knot has to be worth at first


class Fan(NamedTuple):
    """Knots, a function below q, and lines that are policies'.

    Attributes
    ----------
    ptr : (N + 1,)
    points, lower, means, squares : (knots,)
    choice : (knots,) int
        The first pair of each line's policy.
    """

    ptr: IntArray
    points: FloatArray
    lower: FloatArray
    means: FloatArray
    squares: FloatArray
    choice: IntArray

    @property
    def states(self) -> IntArray:
        """(knots,) the state of each knot."""
        return np.repeat(np.arange(len(self.ptr) - 1), np.diff(self.ptr))

    @property
    def inner(self) -> IntArray:
        """The knots that have a next one in their state."""
        keep = np.ones(len(self.points), dtype=np.bool_)
        keep[self.ptr[1:] - 1] = False
        return np.flatnonzero(keep)

    def meetings(self) -> FloatArray:
        """(inner,) where the lines of a knot and the next one meet, held between the two, by `kernels.turns`.

        Sweeps and policies go by the same numbers: knots lie where lines meet, and of two lines that are as good at
        their own target one may be better for the objective.
        """
        inner = self.inner
        found = np.empty(len(inner))
        kernels.turns(self.points, self.means, self.squares, inner, found)
        return found


class Limits(NamedTuple):
    """(N,) what no mean is above, and none below."""

    caps: FloatArray
    floors: FloatArray


class FanSearch:
    """Sweeps and knots until the gap is met; `fan` is whole at every moment, `stopped` says why it ended before.

    Parameters
    ----------
    rows : Unrolled
    known : Known or None
        None with a horizon.
    weight : float
        Above 0.
    cells : int
        Knots of a state at most.
    tol : float or None
    """

    def __init__(self, rows: Unrolled, known: Known | None, weight: float, cells: int, tol: float | None) -> None:
        self.rows, self.known, self.weight, self.cells = rows, known, weight, cells
        caps = rows.largest_means() if known is None else known.largest_mean
        self.limits = Limits(caps, np.minimum(rows.least_means(), caps))
        n = rows.problem.mdp.n_states
        low = self.limits.floors[:n]
        own = max(float(caps[:n].max() - low.min()), rows.problem.pairs.largest_reward) or 1.0
        self.width = own if known is None else known.width
        self.enough = 0.005 * self.width if tol is None else tol
        self.share = _SHARE * self.enough
        self.stopped = ""
        self.order = np.arange(rows.size)[::-1].copy() if known is None else np.argsort(-caps, kind="stable")
        self.fan = self._first()

    def _first(self) -> Fan:
        rows, (caps, floors), n = self.rows, self.limits, self.rows.size
        if self.known is None:
            means, half = 0.0 * caps, np.full(n, 0.5 * self.width)
            centre = 0.5 * (caps + floors)
            choice = rows.pair_ptr[:-1].copy()
        else:
            moments, choices = self.known.moments, rows.problem.mdp.choices
            means, half, centre = moments.mean, np.full(n, 0.5 * self.width), moments.mean
            choice = np.flatnonzero(choices.actions == self.known.actions[choices.states]).astype(np.int64)
        angles = 0.5 * np.pi * np.linspace(-1.0, 1.0, _FIRST)[1:-1]
        reach = np.tan(angles) / np.tan(angles[-1]) * _FAR
        near = np.linspace(-2.0, 2.0, 9)
        spread = np.unique(np.concatenate([reach, near]))
        points = centre[:, None] + half[:, None] * spread
        far = caps + 1.0 / self.weight
        points[:, -1] = np.maximum(points[:, -1], far)
        count = points.shape[1]
        caps_at, floors_at = caps[:, None], floors[:, None]
        lower = -points * points
        lower = np.where(points > caps_at, caps_at * (caps_at - 2.0 * points), lower)
        with np.errstate(invalid="ignore"):
            lower = np.where(points < floors_at, floors_at * (floors_at - 2.0 * points), lower)
        lower = lower - 8.0 * EPS * (points**2 + caps_at**2)
        each = np.repeat(np.arange(n), count)
        ptr = (count * np.arange(n + 1)).astype(np.int64)
        squares = np.zeros(n) if self.known is None else moments.variance_high + moments.mean**2
        fan = Fan(ptr, points.ravel(), lower.ravel(), means[each], squares[each], choice[each].astype(np.int64))
        return fan if self.known is not None else self._fresh(fan)

    def _fresh(self, fan: Fan) -> Fan:
        """With lines that are no policy's, but worse than any at their knots."""
        squares = 4.0 * self.rows.reach * (self.rows.reach + np.abs(fan.points))
        return fan._replace(means=np.zeros(len(squares)), squares=squares)

    def sweep(self, order: IntArray) -> tuple[float, float]:
        """One sweep; the largest changes.

        With a horizon it begins without lines, since one sweep is all: those that are left are what the table plays,
        and not what it played before there were further knots.
        """
        rows, problem = self.rows, self.rows.problem
        fan = self.fan if self.known is not None else self._fresh(self.fan)
        table = problem.mdp.outcomes
        caps, floors = self.limits
        finite = np.isfinite(floors).all()
        slope = float(max(np.abs(caps).max(), np.abs(floors[np.isfinite(floors)]).max(initial=0.0)))
        slope += problem.pairs.largest_reward + self.width
        times = rows.horizon or 1
        changes = kernels.sweep(
            order,
            rows.pair_ptr,
            rows.row_ptr,
            rows.probs,
            rows.next_states,
            rows.rewards,
            rows.ends,
            problem.g or 1.0,
            *fan,
            *self.limits,
            np.tile(table.law_errors, times),
            np.tile(table.defects, times),
            slope,
            slope if finite else np.inf,
            int(np.diff(fan.ptr).max()),
        )
        self.fan = fan
        return changes

    def gap(self) -> float:
        """Of the weight that was asked for, over the states one starts in, by the lines as they are."""
        fan, n = self.fan, self.rows.problem.mdp.n_states
        height = fan.means - self.weight * np.maximum(fan.squares - fan.means**2, 0.0)
        reached = np.maximum.reduceat(height, fan.ptr[:-1])[:n]
        return float((upper_of(fan, self.limits, self.weight)[:n] - reached).max())

    def run(self, call: Call, batches: int) -> None:
        """Sweep and add knots until the gap is met by the lines, none is worth it, or the call's limit.

        Lines are those of policies that go on as they were found; the table that is left plays the last choices alone,
        and may need some `batches` of sweeps more to be as good.
        """
        limit = np.inf if call.max_iterations is None else call.max_iterations
        ways = self.order, np.ascontiguousarray(self.order[::-1])
        steps = 1.0 if self.known is None else self.known.steps
        slow = 1.0 - _SLOW * min(0.25, 4.0 / steps)
        before, blunt, done = np.inf, _BLUNT * self.enough, 0
        while True:
            risen = fallen = 0.0
            for number in range(_BATCH if self.known is not None else 1):
                if call.iterations >= limit:
                    self.stopped = f"the limit of {call.max_iterations} sweeps was reached"
                    return
                risen, fallen = self.sweep(ways[number % 2] if self.known is not None else self.order)
                call.count()
            now, done = self.gap(), done + 1
            call.report(now, self.enough)
            settled = max(risen, fallen) == 0.0 or self.known is None
            if now <= (1.0 if settled else 0.5) * self.enough and (done >= batches or settled):
                return
            if not settled and (now <= slow * before or now <= 0.5 * self.enough):
                before = now
                continue
            before = np.inf
            while not self._refined():
                self.share *= 0.25
                if self.share < blunt or self.stopped:
                    self.stopped = self.stopped or "more sweeps and knots gain nothing"
                    return

    def _refined(self) -> bool:
        """Add a knot where lines of neighbours meet far above their chord; whether there were any."""
        fan = self.fan
        i, meet = fan.inner, fan.meetings()
        here, there = fan.points[i], fan.points[i + 1]
        ends = [fan.squares[j] - 2.0 * fan.points[j] * fan.means[j] for j in (i, i + 1)]
        part = (meet - here) / (there - here)
        height = fan.squares[i] - 2.0 * meet * fan.means[i] - (ends[0] + part * (ends[1] - ends[0]))
        middle = 0.5 * (here + there)
        room = 1e-9 * np.maximum(np.abs(here), np.abs(there)) + 1e-12 * self.width
        fit = (meet - here > room) & (there - meet > room)
        new = np.where(fit, meet, middle)
        crowded = np.diff(fan.ptr)[fan.states[i]] >= self.cells
        worth = (self.weight * height > self.share) & (there - here > 4.0 * room)
        if (worth & crowded).any() and not (worth & ~crowded).any():
            self.stopped = f"{self.cells} knots for a state are not enough; raise cells"
        chosen = np.flatnonzero(worth & ~crowded)
        if not chosen.size:
            return False
        after, points = i[chosen], new[chosen]
        share = (points - fan.points[after]) / (fan.points[after + 1] - fan.points[after])
        low = fan.lower[after] + share * (fan.lower[after + 1] - fan.lower[after])
        low -= 4.0 * EPS * (np.abs(fan.lower[after]) + np.abs(fan.lower[after + 1]))
        other = fan.squares[after + 1] - fan.squares[after] < 2.0 * points * (fan.means[after + 1] - fan.means[after])
        line = after + other
        added = (points, low, fan.means[line], fan.squares[line], fan.choice[line])
        counts = np.diff(fan.ptr) + np.bincount(fan.states[after], minlength=len(fan.ptr) - 1)
        columns = [np.insert(old, after + 1, extra) for old, extra in zip(fan[1:], added, strict=True)]
        self.fan = Fan(pointers(counts), *columns)
        return True

    def rule(self) -> NodeRule:
        """The policies of the lines: at a target the better line of the two knots around."""
        rows, fan = self.rows, self.fan
        bounds = np.full(len(fan.points), -np.inf)
        # a knot's own target means this knot, also where the next one's line is as good there
        bounds[fan.inner + 1] = np.maximum(fan.meetings(), np.nextafter(fan.points[fan.inner], np.inf))
        g, n = rows.problem.g, rows.problem.mdp.n_states
        rule = NodeRule(g, n, fan.ptr, fan.points, bounds, rows.actions[fan.choice], rows.horizon)
        return rule if self.known is None else made_ending(rows, rule, self.known)


def upper_of(fan: Fan, limits: Limits, weight: float) -> FloatArray:
    """(N,) what no policy's mean less `weight` times variance exceeds."""
    caps, floors = limits
    if weight == 0.0:
        return caps
    i, own = fan.inner, fan.states
    first, last = fan.ptr[:-1], fan.ptr[1:] - 1
    beta = (fan.lower[i + 1] - fan.lower[i]) / (fan.points[i + 1] - fan.points[i])
    top = 0.5 / weight
    c = np.clip(top - 0.5 * beta, fan.points[i], fan.points[i + 1])
    rise = beta * (c - fan.points[i])
    high = np.full(len(caps), -np.inf)
    np.maximum.at(high, own[i], _height(c, fan.lower[i], rise, weight))
    c = np.maximum(fan.points[last], top + caps)
    high = np.maximum(high, _height(c, fan.lower[last], -2.0 * caps * (c - fan.points[last]), weight))
    c = np.minimum(fan.points[first], top + caps)  # before the first knot: what any law has
    least = np.where(c > caps, caps * (caps - 2.0 * c), -c * c)
    if np.isfinite(floors).all():
        near = np.minimum(fan.points[first], top + floors)
        steep = _height(near, fan.lower[first], -2.0 * floors * (near - fan.points[first]), weight)
        high = np.maximum(high, np.minimum(_height(c, least, 0.0, weight), steep))
    else:
        high = np.maximum(high, _height(c, least, 0.0, weight))
    return np.asarray(np.minimum(high, caps))


def _height(c: FloatArray, q: FloatArray, rise: FloatArray | float, weight: float) -> FloatArray:
    """c - 1 / (4 w) - w (c^2 + q + rise), rounded up."""
    size = np.abs(c) + 0.25 / weight + weight * (c * c + np.abs(q) + np.abs(rise))
    return np.asarray(c - 0.25 / weight - weight * (c * c + (q + rise)) + 16.0 * EPS * size)
