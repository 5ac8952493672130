"""The policy of the best mean return, by policy iteration."""

import numpy as np
from scipy import sparse
from scipy.sparse import linalg

import distrl


def optimal_policy(mdp: distrl.MDP) -> np.ndarray:
    """(S, A) one-hot rows of a policy that is greedy for its own values.

    Starts from the uniform policy, which ends surely in every environment of the studies, so at discount 1 every policy
    on the way ends surely too and its values are a linear solve. Of equally good actions the first one is taken.
    """
    states, actions = mdp.n_states, mdp.n_actions
    going_on, rewards = mdp.outcomes.continuation, mdp.outcomes.expected_rewards
    policy = np.full((states, actions), 1.0 / actions)
    while True:
        # row s of `mix` averages the (state, action) rows of s under the policy
        columns = np.arange(states * actions)
        mix = sparse.csr_array((policy.ravel(), columns, np.arange(0, states * actions + 1, actions)))
        system = sparse.csc_matrix(sparse.eye_array(states) - mdp.discount * (mix @ going_on))
        values = linalg.spsolve(system, mix @ rewards)
        gains = (rewards + mdp.discount * (going_on @ values)).reshape(states, actions)
        ties = 1e-10 * max(1.0, float(np.abs(values).max()))
        greedy = np.argmax(gains >= gains.max(axis=1, keepdims=True) - ties, axis=1)
        improved = np.eye(actions)[greedy]
        if np.array_equal(improved, policy):
            return policy
        policy = improved
