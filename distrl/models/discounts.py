"""Discounts: one number for a model, or a factor of its own for each outcome.

The return from a state is r + g G(y), g what multiplies the return of the next state y: the same number everywhere, or
one that comes with the outcome, as in general value functions, options and semi-Markov models. All factors lie in
[0, 1]. An outcome of factor 0 ends the return after its reward, and is stored as one that does.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from distrl._lazy import sparse
from distrl._tolerances import MIXED_ROW_SUM
from distrl._validation import FloatArray, real_number
from distrl.models.outcomes import OutcomeTable, build_table


class Discounted:
    """What models know of their discount.

    Attributes
    ----------
    outcomes : OutcomeTable
    uniform_discount : float or None
        The discount of every outcome; None where they have factors of their own.
    """

    outcomes: OutcomeTable
    uniform_discount: float | None

    @property
    def discount(self) -> float:
        """The discount of every outcome.

        Raises
        ------
        ValueError
            Where outcomes have discounts of their own, so that no formula takes one number for all of them.
        """
        if self.uniform_discount is None:
            raise ValueError(
                "the discount differs by outcome; see model.discounts. What was asked for takes one number for all "
                "outcomes, such as that of model.with_discount(number); evaluate and learn take models like this one"
            )
        return self.uniform_discount

    @property
    def discounts(self) -> FloatArray:
        """(n,) what multiplies the return of each outcome's next state; 0 for the outcomes that end."""
        return factors_of(self.outcomes, self.uniform_discount)

    @property
    def factors(self) -> float | FloatArray:
        """What a column of the outcomes' next states is multiplied by: `discount`, or `discounts` where they differ."""
        return self.discounts if self.uniform_discount is None else self.uniform_discount

    def next_values(self, values: FloatArray) -> FloatArray:
        """(n,) what `values` (S,) of the next states count for after each outcome: g value(y), 0 where the return ends.

        Parameters
        ----------
        values : (S,)
        """
        table = self.outcomes
        if self.uniform_discount is not None:
            return np.where(table.terminals, 0.0, self.uniform_discount * values[table.next_states])
        on, out = ~table.terminals, np.zeros(len(table.probs))
        out[on] = self.discounts[on] * values[table.next_states[on]]
        return out

    def discounted(self, power: int = 1) -> sparse.csr_array:
        """(sources, states) sparse sums of p g^power, g the outcome's discount: what power-th moments go by.

        Parameters
        ----------
        power : int
        """
        return discounted(self.outcomes, self.uniform_discount, power)

    def onward(self, values: FloatArray, power: int = 1) -> FloatArray:
        """(sources,) E[g^power value(y); the return goes on], y the next state and g the outcome's discount.

        Parameters
        ----------
        values : (S,)
        power : int
        """
        if self.uniform_discount is None:
            return np.asarray(self.discounted(power) @ values)
        return np.asarray(self.uniform_discount**power * (self.outcomes.continuation @ values))

    @property
    def largest_discount(self) -> float:
        """The largest of `discounts`: the Bellman operator contracts sup-W1 by it."""
        if self.uniform_discount is not None:
            return self.uniform_discount
        return float(self.discounts.max())


def said_discount(model: Discounted) -> str:
    """The discount, or the range of those of the outcomes that go on.

    Parameters
    ----------
    model : MRP, MDP or other holder of a discount
    """
    if model.uniform_discount is not None:
        return f"{model.uniform_discount:g}"
    own = model.discounts[~model.outcomes.terminals]
    return f"{own.min():g} to {own.max():g}"


def factors_of(table: OutcomeTable, discount: float | None) -> FloatArray:
    """(n,) what multiplies the return of each row's next state, 0 where it ends.

    Parameters
    ----------
    table : OutcomeTable
    discount : float or None
        Of all rows; None: the table has its own.
    """
    if table.discounts is not None:
        return table.discounts
    assert discount is not None
    return np.where(table.terminals, 0.0, discount)


def discounted(table: OutcomeTable, discount: float | None, power: int = 1) -> sparse.csr_array:
    """(sources, states) sums of p g^power, p the probability of going on to the state and g the row's factor.

    Parameters
    ----------
    table : OutcomeTable
    discount : float or None
        As for `factors_of`.
    power : int
        1 for means, k for k-th moments.
    """
    if table.discounts is None:
        assert discount is not None
        return table.continuation * discount**power
    on = ~table.terminals
    entries = (table.probs[on] * table.discounts[on] ** power, (table.sources[on], table.next_states[on]))
    return sparse.coo_array(entries, shape=(table.n_sources, table.n_states)).tocsr()


def lost_mass(table: OutcomeTable, power: int) -> FloatArray:
    """(sources,) 1 less the row sums of `discounted`, of a table with factors of its own, without a difference.

    It is the sum of p (1 - g^power) over the rows, and 1 - g^k = (1 - g) (1 + g + ... + g^(k - 1)).

    Parameters
    ----------
    table : OutcomeTable
    power : int
        As for `discounted`.
    """
    factors = factors_of(table, None)
    lost = table.probs * ((1.0 - factors) * sum(factors**j for j in range(power)))
    return np.asarray(np.bincount(table.sources, weights=lost, minlength=table.n_sources), dtype=np.float64)


def settled(table: OutcomeTable, discount: object) -> tuple[OutcomeTable, float | None]:
    """A table and the discount of all its rows, None where they have their own.

    Parameters
    ----------
    table : OutcomeTable
        Rows whose factors are all the same lose them to the number.
    discount : number, or None
        None: the table's own, and only then.

    Raises
    ------
    ValueError, TypeError
        If it is no number in [0, 1], or there is not exactly one way to know the discount.
    """
    if table.discounts is None:
        return table, one_number(discount)
    if discount is not None:
        raise ValueError(f"the outcomes have discounts of their own; leave discount out (None), got {discount!r}")
    own = table.discounts[~table.terminals]
    if len(own) and own.min() < own.max():
        return table, None
    return replace(table, discounts=None), float(own[0]) if len(own) else 0.0


def one_number(discount: object) -> float:
    """`discount` as a number in [0, 1].

    Raises
    ------
    ValueError, TypeError
        If it is none, saying where arrays are taken.
    """
    if discount is None:
        raise ValueError("discount is missing: a number in [0, 1], or None where rows have a column discount")
    if isinstance(discount, list | tuple) or getattr(discount, "ndim", 0) > 0:
        raise ValueError(
            "one number is needed as the discount here; MRP and MDP made of arrays take an array of them, and "
            "from_outcomes a column discount"
        )
    return real_number(discount, "discount", low=0.0, high=1.0)


def with_one_discount(table: OutcomeTable, discount: object, what: str) -> tuple[OutcomeTable, float]:
    """The table without factors of its own, and the number that stands for them.

    Parameters
    ----------
    table : OutcomeTable
    discount : number
    what : str
        What a source is called in errors.
    """
    number = one_number(discount)
    if table.discounts is None:
        return table, number
    rows = table.rows._replace(discounts=None)
    same = build_table(
        rows,
        n_sources=table.n_sources,
        n_states=table.n_states,
        describe=lambda source: f"{what} {source}",
        tolerance=MIXED_ROW_SUM,
    )
    return replace(same, known_defects=table.known_defects), number
