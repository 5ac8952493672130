"""Experiments: one folder each, with the problem family, the sweep, the analysis and the figures side by side.

`python -m experiments list` names them, `python -m experiments run NAME` runs one and resumes where it was stopped.
"""

import os

# Before NumPy is loaded: the arrays are small, threads of BLAS would fight with the worker processes, and with one
# thread sums are the same on every start.
for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")
