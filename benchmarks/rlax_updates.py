"""`python -m benchmarks.rlax_updates KIND ATOMS`: state updates a second of rlax's formulas under jax.jit, as JSON.

A process of its own, because jax fixes devices and precision when it starts. Transitions are drawn before and not
timed; the best of one or two devices and single or double precision counts.
"""

import json
import os
import sys
import time

os.environ.setdefault("XLA_FLAGS", "--xla_force_host_platform_device_count=2")
os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax
import jax.numpy as jnp
import numpy as np
import rlax

STATES, REPLICATIONS, DISCOUNT, STEP = 10, 100, 0.9, 0.05
SECONDS = 1.0


def one_update(kind, atoms, dtype):
    """The synchronous update of all states of one replication: (estimates (S, m), rewards (S,), next states (S,))."""
    levels = jnp.asarray((2 * np.arange(atoms) + 1) / (2 * atoms), dtype=dtype)
    grid = jnp.linspace(-40.0, 40.0, atoms, dtype=dtype)

    def categorical(probs, rewards, next_states):
        project = jax.vmap(lambda r, p: rlax.categorical_l2_project(r + DISCOUNT * grid, p, grid))
        return probs + STEP * (project(rewards, probs[next_states]) - probs)

    def quantile(values, rewards, next_states):
        targets = rewards[:, None] + DISCOUNT * values[next_states]
        loss = jax.vmap(lambda own, target: rlax.quantile_regression_loss(own, levels, target, 0.0))
        return values - STEP * jax.grad(lambda own: loss(own, targets).sum())(values)

    return categorical if kind == "categorical" else quantile


def speed(kind, atoms, devices, dtype, updates):
    """State updates a second, the better of two runs, compilation not counted."""
    update = one_update(kind, atoms, dtype)

    def replication(start, rewards, next_states):
        def step(estimates, transition):
            return update(estimates, *transition), None

        return jax.lax.scan(step, start, (rewards, next_states))[0]

    rng = np.random.default_rng(0)
    each = REPLICATIONS // devices
    shape = (devices, each, updates, STATES)
    rewards = jnp.asarray(rng.normal(size=shape), dtype=dtype)
    next_states = jnp.asarray(rng.integers(0, STATES, size=shape))
    fill = 1.0 / atoms if kind == "categorical" else 0.0
    start = jnp.full((devices, each, STATES, atoms), fill, dtype=dtype)
    run = jax.vmap(replication)
    run = jax.pmap(run) if devices > 1 else jax.jit(jax.vmap(run))
    run(start, rewards, next_states).block_until_ready()
    best = np.inf
    for _ in range(2):
        began = time.perf_counter()
        run(start, rewards, next_states).block_until_ready()
        best = min(best, time.perf_counter() - began)
    return REPLICATIONS * updates * STATES / best


def best_speed(kind, atoms):
    """(state updates a second, which setting)."""
    best = (0.0, "")
    for dtype in (jnp.float32, jnp.float64):
        for devices in (1, 2):
            few = speed(kind, atoms, devices, dtype, 2)
            updates = int(np.clip(SECONDS * few / (REPLICATIONS * STATES), 2, 500))
            found = speed(kind, atoms, devices, dtype, updates)
            best = max(best, (found, f"{devices} device{'s' * (devices > 1)}, {jnp.dtype(dtype).name}"))
    return best


if __name__ == "__main__":
    jax.config.update("jax_enable_x64", True)
    print(json.dumps(best_speed(sys.argv[1], int(sys.argv[2]))))
