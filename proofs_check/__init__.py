"""Every claim of the theory, hunted for a counterexample.

claim.py      what a claim is, and the register
claims/       the claims, a module or a folder a paper; `own` holds this library's results, `formal` what is proved
case.py       an instance of a problem as data: saved, replayed, moved a little
families.py   where instances come from: Hypothesis strategies and structured families
exact/        oracles over the rationals, which share no code with distrl
rounding.py   what floating point can add to a measurement
search.py     the hunt: replay, structured families, steered search, local polish
runner.py     many hunts, side by side and resumed
report.py     Markdown, HTML, JSON, figures
mutations.py  faults planted in the library on purpose, and the claims that catch them; those in `optimize` are in
              control_faults.py, and faults.py says what one is
"""
