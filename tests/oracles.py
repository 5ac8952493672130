"""Textbook formulas, dense and slow, that share no code with the library."""

from fractions import Fraction
from math import comb
from typing import Any

import numpy as np


def dense_hat(targets: np.ndarray, atoms: np.ndarray) -> np.ndarray:
    """(len(targets), m) projection weights, the formula deep RL libraries use: clip(1 - |clip(t) - z| / dz, 0, 1)."""
    clipped = np.clip(targets, atoms[0], atoms[-1])
    return np.clip(1.0 - np.abs(clipped[:, None] - atoms[None, :]) / (atoms[1] - atoms[0]), 0.0, 1.0)


def rows_of(model: Any) -> list[tuple[int, float, int, float, bool]]:
    """(source, probability, next state, reward, terminal) with finite reward laws spelled out."""
    table = model.outcomes
    rows = []
    for k, probability in enumerate(table.probs):
        values, weights = np.array([table.rewards[k]]), np.ones(1)
        if table.laws[k] >= 0:
            law = table.reward_laws[table.laws[k]]
            values, weights = law.values, law.probs
        for value, weight in zip(values, weights, strict=True):
            rows.append(
                (
                    int(table.sources[k]),
                    float(probability * weight),
                    int(table.next_states[k]),
                    float(value),
                    bool(table.terminals[k]),
                )
            )
    return rows


def dense_bellman(model: Any, atoms: np.ndarray, probs: np.ndarray) -> np.ndarray:
    """Pi T p by the double loop of the definition."""
    out = np.zeros((model.outcomes.n_sources, len(atoms)))
    for source, probability, successor, reward, terminal in rows_of(model):
        if terminal:
            out[source] += probability * dense_hat(np.array([reward]), atoms)[0]
        else:
            out[source] += probability * probs[successor] @ dense_hat(reward + model.discount * atoms, atoms)
    return out


def exact_fixed_point(
    rows: list[tuple[int, Fraction, int, Fraction, bool]], discount: Fraction, atoms: list[Fraction], states: int
) -> list[list[Fraction]]:
    """PMF of the categorical fixed point by Gauss elimination over the rationals."""
    m = len(atoms)
    spacing = atoms[1] - atoms[0]

    def hat(target: Fraction) -> dict[int, Fraction]:
        place = (min(max(target, atoms[0]), atoms[-1]) - atoms[0]) / spacing
        left = min(place.numerator // place.denominator, m - 2)
        return {left: 1 - (place - left), left + 1: place - left}

    size = states * m
    # (I - A) p = b with the last equation of each state replaced by sum p = 1
    system = [[Fraction(int(i == j)) for j in range(size)] + [Fraction(0)] for i in range(size)]
    for source, probability, successor, reward, terminal in rows:
        if terminal:
            for i, weight in hat(reward).items():
                system[source * m + i][size] += probability * weight
        else:
            for j, atom in enumerate(atoms):
                for i, weight in hat(reward + discount * atom).items():
                    system[source * m + i][successor * m + j] -= probability * weight
    for state in range(states):
        last = state * m + m - 1
        system[last] = [Fraction(int(j // m == state)) for j in range(size)] + [Fraction(1)]
    for column in range(size):
        pivot = next(row for row in range(column, size) if system[row][column] != 0)
        system[column], system[pivot] = system[pivot], system[column]
        inverse = 1 / system[column][column]
        system[column] = [entry * inverse for entry in system[column]]
        for row in range(size):
            factor = system[row][column]
            if row != column and factor != 0:
                system[row] = [
                    entry - factor * pivot_entry for entry, pivot_entry in zip(system[row], system[column], strict=True)
                ]
    solution = [system[i][size] for i in range(size)]
    return [solution[state * m : (state + 1) * m] for state in range(states)]


def merge_distance(
    first: tuple[np.ndarray, np.ndarray], second: tuple[np.ndarray, np.ndarray], power: int = 1
) -> float:
    """int |F - G|^power for two (values, weights) laws: W1 for power 1, the squared Cramer distance for 2."""
    support = np.unique(np.concatenate([first[0], second[0]]))
    cdfs = []
    for values, weights in (first, second):
        order = np.argsort(values)
        cumulative = np.concatenate([[0.0], np.cumsum(np.asarray(weights)[order])])
        cdfs.append(cumulative[np.searchsorted(np.asarray(values)[order], support, side="right")])
    return float((np.abs(cdfs[0] - cdfs[1])[:-1] ** power) @ np.diff(support))


def enumerated_law(model: Any, state: int, steps: int) -> tuple[np.ndarray, np.ndarray, float]:
    """(values, weights, mass left) of the return over trajectories that end within `steps`, by enumeration."""
    rows = rows_of(model)
    done: dict[float, float] = {}
    alive = {(state, 0.0): 1.0}
    scale = 1.0
    for _ in range(steps):
        following: dict[tuple[int, float], float] = {}
        for (x, total), mass in alive.items():
            for source, probability, successor, reward, terminal in rows:
                if source != x:
                    continue
                value, weight = total + scale * reward, mass * probability
                if terminal:
                    done[value] = done.get(value, 0.0) + weight
                else:
                    following[successor, value] = following.get((successor, value), 0.0) + weight
        alive = following
        scale *= model.discount
    values = np.array([*done, *(value for _, value in alive)])
    weights = np.array([*done.values(), *alive.values()])
    return values, weights, float(sum(alive.values()))


def rational_resolvent(
    rows: list[tuple[int, float, int, float, bool]], discount: float, power: int, *sides: list[Fraction]
) -> list[list[Fraction]]:
    """(I - g^power P)^{-1} b for several b, in rationals; a state's loop is 1 less everything else.

    Gauss elimination of a sparse system, row by row as dicts.
    """
    n, factor = len(sides[0]), Fraction(discount) ** power
    going = [dict[int, Fraction]() for _ in range(n)]
    loops = [Fraction(1)] * n
    for source, probability, successor, _, terminal in rows:
        if terminal or successor != source:
            loops[source] -= Fraction(probability)
        if not terminal and successor != source:
            going[source][successor] = going[source].get(successor, Fraction(0)) + Fraction(probability)
    system = []
    for x in range(n):
        row = {y: -factor * p for y, p in going[x].items()}
        row[x] = 1 - factor * loops[x]
        system.append(row)
    values = [list(column) for column in zip(*sides, strict=True)]
    for k in range(n):
        for x in range(n):
            if x != k and k in system[x]:
                share = system[x].pop(k) / system[k][k]
                for y, entry in system[k].items():
                    if y != k:
                        system[x][y] = system[x].get(y, Fraction(0)) - share * entry
                values[x] = [a - share * b for a, b in zip(values[x], values[k], strict=True)]
    return [[values[x][j] / system[x][x] for x in range(n)] for j in range(len(sides))]


def rational_central_moments(
    rows: list[tuple[int, float, int, float, bool]], discount: float, order: int
) -> list[list[Fraction]]:
    """Central moments of the return from those about 0, for k = 0..order, in rationals; the loop as above.

    Rewards are one a state, so that a loop's reward is its state's.
    """
    n = max(row[0] for row in rows) + 1
    g = Fraction(discount)
    rewards = {row[0]: Fraction(row[3]) for row in rows}
    raw = [[Fraction(1)] * n]
    for k in range(1, order + 1):
        side = []
        for x in range(n):
            rest = [(Fraction(p), y, end) for a, p, y, _, end in rows if a == x and (end or y != x)]
            rest.append((1 - sum(p for p, _, _ in rest), x, False))
            total = Fraction(0)
            for p, y, end in rest:
                total += p * rewards[x] ** k
                if not end:
                    total += p * sum(comb(k, j) * g**j * rewards[x] ** (k - j) * raw[j][y] for j in range(1, k))
            side.append(total)
        raw.append(rational_resolvent(rows, discount, k, side)[0])
    return [
        [sum(comb(k, j) * raw[j][x] * (-raw[1][x]) ** (k - j) for j in range(k + 1)) for x in range(n)]
        for k in range(order + 1)
    ]
