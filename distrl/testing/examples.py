"""Small models that the suites of laws are tried on, and their exact means."""

import numpy as np

from distrl import MRP, FiniteLaw, environments
from distrl._validation import FloatArray


def small_models() -> dict[str, MRP]:
    """A few models that no method should stumble over."""
    rng = np.random.default_rng(7)
    dense = rng.dirichlet(np.ones(4), size=4)
    return {
        "two states": environments.two_state(discount=0.8),
        "ends": environments.chain(4, slip=0.2, discount=0.9, step_reward=-1.0),
        "random rewards": MRP(dense, [FiniteLaw([-1.0, 2.0], [0.7, 0.3]), 0.0, FiniteLaw([0.5]), 1.0], 0.7),
        "no discount": environments.garnet(5, 2, 2, discount=0.0, rng=1).under("uniform"),
    }


def exact_means(model: MRP) -> FloatArray:
    """(S,) (I - discount P)^{-1} r by a dense solve."""
    matrix = np.eye(model.n_states) - model.discounted().toarray()
    return np.linalg.solve(matrix, model.expected_rewards)
