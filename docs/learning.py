"""Learners in a Gymnasium loop, no transition table needed: `python docs/learning.py` (or `--quick`).

Blackjack: the chances to win, draw and lose from every hand. Taxi: discounted returns of the uniformly random policy.
Both against Monte Carlo; Taxi also against the exact answer, because it happens to have a table.
"""

import argparse
from collections.abc import Iterator

import gymnasium
import numpy as np

import distrl
from distrl.td import Harmonic

HANDS = (32, 11, 2)  # the player's sum, the dealer's card, a usable ace


def blackjack_episodes(episodes: int, seed: int) -> Iterator[list[tuple[int, float, int, bool]]]:
    """Episodes of (state, reward, next state, terminated) under Sutton and Barto's policy: stick at 20 or more."""
    env = gymnasium.make("Blackjack-v1", sab=True)
    observation, _ = env.reset(seed=seed)
    for _ in range(episodes):
        episode, terminated = [], False
        while not terminated:
            state = int(np.ravel_multi_index(observation, HANDS))
            observation, reward, terminated, _, _ = env.step(int(observation[0] < 20))
            episode.append((state, float(reward), int(np.ravel_multi_index(observation, HANDS)), terminated))
        yield episode
        observation, _ = env.reset()


def blackjack(episodes: int = 200_000, seed: int = 0) -> dict[str, np.ndarray]:
    """Laws on {-1, 0, 1} of the categorical learner, Monte Carlo's frequencies, and how often each hand was seen."""
    states = int(np.prod(HANDS))
    grid = distrl.Grid(-1, 1, 3)  # the return is -1, 0 or 1: nothing is rounded
    step_size = Harmonic(scale=2, offset=1)
    categorical = distrl.CategoricalTD(grid=grid).learner(states, discount=1.0, step_size=step_size)
    monte_carlo = distrl.CategoricalTD(grid=grid, steps=None).learner(states, discount=1.0, step_size=Harmonic())
    for episode in blackjack_episodes(episodes, seed):
        for transition in episode:
            categorical.update(*transition)
            monte_carlo.update(*transition)
    return {
        "td": categorical.returns.probs,
        "monte carlo": monte_carlo.returns.probs,
        "visits": monte_carlo.visits,
    }


def taxi(steps: int = 400_000, seed: int = 0, discount: float = 0.9) -> dict[str, np.ndarray]:
    """(500,) means of quantile, categorical and Monte Carlo learners under the uniform policy, and the exact ones."""
    name = "Taxi-v4" if "Taxi-v4" in gymnasium.registry else "Taxi-v3"
    env = gymnasium.make(name, max_episode_steps=None).unwrapped
    rng = np.random.default_rng(seed)
    rows = []
    state, _ = env.reset(seed=seed)
    for _ in range(steps):
        following, reward, terminated, _, _ = env.step(int(rng.integers(env.action_space.n)))
        # cut episodes at random, so that all states are seen: to a learner this is truncation, not an end
        cut = terminated or rng.random() < 0.02
        rows.append((state, float(reward), following, terminated))
        state = env.reset()[0] if cut else following
    columns = [list(column) for column in zip(*rows, strict=True)]
    grid = distrl.Grid(-100.0, 20.0, 121)  # rewards of -10, -1 and 20; the last one ends
    found = {}
    # quantiles move by steps in units of reward: those of the other learners times the range of returns
    for label, method, step_size in [
        ("quantile TD", distrl.QuantileTD(51), Harmonic(scale=1000, offset=10)),
        ("categorical TD", distrl.CategoricalTD(grid=grid), Harmonic(scale=10, offset=10)),
        ("60-step returns", distrl.TD(steps=60), Harmonic()),
    ]:
        learner = method.learner(500, discount=discount, step_size=step_size)
        learner.update_batch(*columns)
        found[label] = learner.values
    found["visits"] = learner.visits
    mdp = distrl.from_gymnasium(name, discount=discount)
    found["exact"] = distrl.evaluate(mdp, distrl.Moments(order=1), policy="uniform").values
    return found


def main() -> None:
    """Print both comparisons."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a hundredth of the steps")
    share = 100 if parser.parse_args().quick else 1
    hands = blackjack(200_000 // share)
    seen = hands["visits"] >= 500 // share
    gap = np.abs(hands["td"] - hands["monte carlo"])[seen].max(axis=1)
    print(f"Blackjack, {seen.sum()} hands seen often: chances by TD and by Monte Carlo")
    print(f"  differ by {gap.mean():.3f} on average, {gap.max():.3f} at most")
    for hand in ((20, 10, 0), (16, 10, 0), (12, 6, 0)):
        lose, draw, win = hands["td"][np.ravel_multi_index(hand, HANDS)]
        print(f"  {hand[0]} against {hand[1]}: win {win:.3f}, draw {draw:.3f}, lose {lose:.3f}")
    values = taxi(400_000 // share)
    seen = values["visits"] > 0
    print(f"Taxi, {seen.sum()} states seen: mean absolute error of the value")
    for label in ("quantile TD", "categorical TD", "60-step returns"):
        print(f"  {label:<16}{np.abs(values[label] - values['exact'])[seen].mean():.3f}")


if __name__ == "__main__":
    main()
