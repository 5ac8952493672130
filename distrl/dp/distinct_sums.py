"""Exact laws of models that meet no state twice: every sum that a walk can make, equal ones merged.

The last states first: the law of x is that of r + discount * G(y) over its outcomes, a sum for each sum of y. Sums that
agree up to the rounding of the longest way here are one value. That moves masses by no more than that rounding, which
the certificate counts with that of the masses.
"""

import numpy as np

from distrl._kernels.lattice import merge_sums
from distrl._memory import check_memory
from distrl._tolerances import EPS
from distrl._validation import FloatArray, IntArray
from distrl.dp.call import Call
from distrl.dp.certificate import Certificate
from distrl.dp.method import Method
from distrl.dp.resolvent import Resolvent
from distrl.dp.scales import unknown_mass
from distrl.dp.solution import Solution
from distrl.dp.status import Status, settle
from distrl.models.graph import components
from distrl.models.laws import FiniteLaw
from distrl.models.mrp import MRP
from distrl.returns.base import Returns
from distrl.returns.finite import ParticleReturns

#: Sums that the walk from a state can make, ascending, and their masses.
Sums = tuple[FloatArray, FloatArray]


def moves(model: MRP) -> tuple[IntArray, IntArray]:
    """Tails and heads of the outcomes after which something may follow."""
    table = model.outcomes
    on = np.flatnonzero(~table.terminals & (model.factors > 0.0))
    return table.sources[on], table.next_states[on]


def never_returns(model: MRP) -> bool:
    """Whether no state can be met twice before the return ends: sums are finite in number then, laws permitting."""
    tails, heads = moves(model)
    if (tails == heads).any() or not all(isinstance(law, FiniteLaw) for law in model.outcomes.reward_laws):
        return False
    return bool(components(tails, heads, model.n_states).sizes.max() == 1)


def distinct_sums(model: MRP, method: Method[Returns], most: int, call: Call) -> Solution[Returns]:
    """The laws of a model that `never_returns`, as particles, each state with its own values.

    Raises
    ------
    ValueError
        If a state has more than `most` sums, naming it and the number, or the laws do not fit in memory.
    """
    table, n = model.outcomes, model.n_states
    found = components(*moves(model), n)
    done: list[Sums] = [(np.zeros(1), np.ones(1))] * n
    near, mass_error = np.zeros(n), np.zeros(n)
    call.enter("merging sums")
    with call.interruptible():
        order = np.argsort(found.height[found.part], kind="stable")
        for count, x in enumerate(order.tolist()):
            done[x], near[x], mass_error[x] = merged_sums(model, done, x, int(found.height[found.part[x]]) + 1, most)
            if count % 1024 == 0:
                call.advance(count / n)
        call.count()
    widest = max(len(values) for values, _ in done)
    check_memory(n, widest, 2.0, "lower max_values, or use CategoricalFixedPoint(), which works on a grid")
    values, weights = np.empty((n, widest)), np.zeros((n, widest))
    for x, (sums, masses) in enumerate(done):
        values[x, : len(sums)], weights[x, : len(sums)] = sums, masses
        values[x, len(sums) :] = sums[-1]
    linear = Resolvent.of(model)
    spread = float(values.max() - values.min())
    floats = linear.upper(near + mass_error * spread)
    given = linear.upper(table.law_errors + unknown_mass(model))
    if call.interrupted:  # some laws are not known at all
        floats = np.full(n, np.inf)
    nothing = np.zeros(n)
    certificate = Certificate(floats + given, "lattice-levels", nothing, given, floats, nothing)
    worst = float(floats.max())
    tol = max(1e-10 * spread, worst) if call.tol is None else call.tol
    status = Status.INTERRUPTED if call.interrupted else Status.CONVERGED
    status, tol = settle(status, worst, tol, call.given, worst, tol)
    returns: Returns = ParticleReturns.trusted(values, weights)
    return Solution.of(
        returns,
        model,
        method,
        call,
        status=status,
        certificate=certificate,
        bounds=certificate.residual,
        tol=tol,
        solver="distinct sums",
        reason=f"no state is met twice; at most {widest} sums a state",
    )


def merged_sums(
    model: MRP, done: list[Sums], x: int, steps: int, most: int, whose: str = "the return"
) -> tuple[Sums, float, float]:
    """The sums of a state and their masses, how far masses were moved, and the relative error of a mass.

    `done` are those of the next states, `steps` the most that a sum is made of; `whose` is for errors.

    Raises
    ------
    ValueError
        If there are more than `most`, naming the state and the number.
    """
    table, factors = model.outcomes, np.broadcast_to(model.factors, model.outcomes.probs.shape)
    values, weights = [], []
    for row in range(int(table.indptr[x]), int(table.indptr[x + 1])):
        number = table.laws[row]
        law = table.reward_laws[number] if number >= 0 else None
        rewards = law.values if isinstance(law, FiniteLaw) else table.rewards[row : row + 1]
        shares = table.probs[row] * (law.probs if isinstance(law, FiniteLaw) else np.ones(1))
        onward = (np.zeros(1), np.ones(1)) if table.terminals[row] else done[table.next_states[row]]
        values.append(np.add.outer(rewards, factors[row] * onward[0]).ravel())
        weights.append(np.multiply.outer(shares, onward[1]).ravel())
    sums, masses = np.concatenate(values), np.concatenate(weights)
    order = np.argsort(sums, kind="stable")
    sums, masses, before = sums[order], masses[order], len(sums)
    reach = float(np.abs(sums).max()) + float(np.abs(table.rewards[table.indptr[x] : table.indptr[x + 1]]).max())
    near = 4.0 * EPS * steps * reach
    kept = merge_sums(sums, masses, near)
    if kept > most:
        raise ValueError(
            f"{whose} from state {model.states[x]!r} has {kept} distinct sums, more than max_values={most}; raise "
            "max_values, or use distrl.CategoricalFixedPoint(), which works on a grid"
        )
    error = (before - kept + len(values) + 4.0) * EPS
    return (sums[:kept].copy(), masses[:kept].copy()), near + 4.0 * EPS * reach, error
