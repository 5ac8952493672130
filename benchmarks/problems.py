"""Two sets of problems: `CHOSEN_ON`, on which the thresholds of `auto` were chosen, and `HELD_OUT`, which it never saw.

Each maps a name to a function of the discount.
"""

import numpy as np
from scipy import sparse

from distrl import MRP, environments, from_gymnasium


def walk(states, discount, up=0.5, stay=0.1, seed=0, absorbing=False):
    """A walk on a line that both ends reflect, or absorb, up with probability `up`."""
    i = np.arange(states)
    steps = np.concatenate([np.full(states, up), np.full(states, 1 - up)]) * (1 - stay)
    columns = np.concatenate([np.minimum(i + 1, states - 1), np.maximum(i - 1, 0)])
    p = sparse.coo_array((steps, (np.tile(i, 2), columns)), shape=(states, states)).tocsr()
    rewards = np.random.default_rng(seed).normal(size=states)
    ends = np.isin(i, (0, states - 1)) & absorbing
    rewards[ends] = 0.0
    return MRP(p + stay * sparse.eye_array(states), rewards, discount, terminal=ends)


def two_clusters(states, discount, crossing=1e-3, seed=0):
    """Two random graphs of five successors, crossed with a small probability: slow mixing."""
    rng = np.random.default_rng(seed)
    half, rows = states // 2, np.repeat(np.arange(states), 5)
    columns = rng.integers(0, half, len(rows)) + half * (rows // half)
    columns = np.where(rng.random(len(rows)) < crossing, (columns + half) % states, columns)
    p = sparse.coo_array((rng.dirichlet(np.ones(5), states).ravel(), (rows, columns)), shape=(states, states))
    return MRP(p.tocsr(), rng.normal(size=states) + np.repeat([0.0, 0.5], half), discount)


def forward(states, discount, seed=0):
    """Acyclic up to self-loops: on to one of the next few states, or stay; random rewards; ends behind the last."""
    rng = np.random.default_rng(seed)
    rows = []
    for x in range(states):
        stay = float(rng.uniform(0.2, 0.9))
        rows.append((x, stay, x, float(rng.normal()), False))
        for share in rng.dirichlet(np.ones(3)) * (1 - stay):
            y = x + int(rng.integers(1, 4))
            rows.append((x, share, min(y, states - 1), float(rng.normal()), y >= states))
    return MRP.from_outcomes(rows, discount)


def garnet(states, branching, discount, seed):
    mdp = environments.garnet(states=states, actions=1, branching=branching, discount=discount, rng=seed)
    return mdp.under(np.zeros(states, dtype=int))


def gym(name, discount, **options):
    return from_gymnasium(name, discount=discount, **options).under("uniform")


CHOSEN_ON = {
    "garnet 2000": lambda g: garnet(2000, 5, g, 1),
    "dirichlet 100": lambda g: environments.dirichlet(100, discount=g, rng=0),
    "walk 500": lambda g: walk(500, g),
    "drift 500": lambda g: walk(500, g, up=0.8),
    "acyclic 500": lambda g: forward(500, g),
    "room 30x30": lambda g: environments.gridworld((30, 30), discount=g).under("uniform"),
    "clusters 2000": lambda g: two_clusters(2000, g),
    "cycle 100": lambda g: environments.cycle(100, rewards=np.random.default_rng(0).normal(size=100), discount=g),
    "FrozenLake 8x8": lambda g: gym("FrozenLake-v1", g, map_name="8x8", is_slippery=True),
    "Taxi": lambda g: gym("Taxi-v4", g),
    "CliffWalking": lambda g: gym("CliffWalking-v1", g),
}
HELD_OUT = {
    "garnet 1000, b=3": lambda g: garnet(1000, 3, g, 11),
    "garnet 3000, b=8": lambda g: garnet(3000, 8, g, 12),
    "dirichlet 200, sparse": lambda g: environments.dirichlet(200, concentration=0.05, discount=g, rng=13),
    "walk 800": lambda g: walk(800, g, stay=0.3, seed=14),
    "drift 800": lambda g: walk(800, g, up=0.65, seed=15),
    "ruin 600": lambda g: walk(600, g, seed=19, absorbing=True),
    "acyclic 1000": lambda g: forward(1000, g, seed=16),
    "room 20x40": lambda g: environments.gridworld((20, 40), discount=g).under("uniform"),
    "clusters 3000": lambda g: two_clusters(3000, g, crossing=3e-3, seed=17),
    "cycle 60": lambda g: environments.cycle(60, rewards=np.random.default_rng(18).normal(size=60), discount=g),
    "FrozenLake 4x4": lambda g: gym("FrozenLake-v1", g, is_slippery=True),
}
