"""Small decision processes that learners act in, and their rows."""

import numpy as np
from scipy import stats

import distrl


def deterministic() -> distrl.MDP:
    """Four states with one to three actions each, an end, whole rewards, discount 1/2: nothing is rounded."""
    rows = [
        (0, 0, 1.0, 1, 2.0, False),
        (0, 1, 1.0, 2, -1.0, False),
        (1, 1, 1.0, 0, 3.0, False),
        (1, 2, 1.0, 3, 8.0, True),
        (2, 0, 1.0, 2, 4.0, False),
        (2, 1, 1.0, 1, 5.0, False),
        (2, 2, 1.0, 3, 0.0, False),
        (3, 0, 1.0, 0, -2.0, False),
    ]
    return distrl.MDP.from_outcomes(rows, 0.5, initial=[1.0, 0.0, 0.0, 0.0])


def noisy() -> distrl.MDP:
    """Three states with uneven actions, ends, numbers and laws for rewards."""
    rows = [
        (0, 0, 0.5, 1, 1.0, False),
        (0, 0, 0.5, 2, stats.norm(1.0, 0.5), False),
        (0, 2, 1.0, 0, 1.25, False),
        (1, 0, 0.7, 0, stats.t(4), False),
        (1, 0, 0.3, 1, 2.0, True),
        (1, 1, 1.0, 2, -0.5, False),
        (2, 1, 0.4, 2, distrl.FiniteLaw([0.0, 1.0, 5.0], [0.5, 0.3, 0.2]), False),
        (2, 1, 0.6, 0, -1.0, False),
    ]
    return distrl.MDP.from_outcomes(rows, 0.9, initial=[0.2, 0.5, 0.3])


def finite() -> distrl.MDP:
    """The like with rewards that are numbers."""
    rng = np.random.default_rng(3)
    rows = []
    for state, actions in enumerate([(0, 1, 2), (1,), (0, 2), (0, 1)]):
        for action in actions:
            probs = rng.dirichlet(np.ones(3))
            for place, following in enumerate(rng.permutation(4)[:3]):
                rows.append((state, action, probs[place], int(following), float(rng.normal()), bool(place == 2)))
    return distrl.MDP.from_outcomes(rows, 0.8, initial=[0.4, 0.1, 0.2, 0.3])


def rows_of(mdp: distrl.MDP) -> list[tuple]:
    out, pairs = mdp.outcomes, mdp.pairs[mdp.outcomes.sources]
    columns = (out.probs, out.next_states, out.rewards, out.terminals)
    return [
        (int(s), int(a), p, y, r, e) for (s, a), p, y, r, e in zip(pairs, *map(np.ndarray.tolist, columns), strict=True)
    ]
