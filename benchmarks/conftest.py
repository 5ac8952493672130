"""What pytest leaves out where the extra `bench` is not installed."""

from importlib.util import find_spec

collect_ignore = [] if find_spec("jax") and find_spec("rlax") else ["rlax_updates.py"]
