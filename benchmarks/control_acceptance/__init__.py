"""What `optimize` was to reach, item by item, and what it reaches: `python -m benchmarks.control_acceptance`."""
