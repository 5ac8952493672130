"""Every claim of the theory, hunted for a counterexample.

claim.py      what a claim is, and the register
case.py       an instance of a problem as data: saved, replayed, moved a little
families.py   where instances come from: Hypothesis strategies and structured families
exact.py      oracles over the rationals, which share no code with distrl
search.py     the hunt: replay, structured families, steered search, local polish
report.py     Markdown, HTML, JSON, figures
mutations.py  faults planted in the library on purpose, and the claims that catch them

One module a paper holds its claims: bdr23, cdrl18, nm24, qtd24, sb23, p25, z25, heavy_tails, control; `own` holds this
library's results, `formal` what is proved symbolically.
"""
