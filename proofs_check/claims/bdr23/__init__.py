"""Claims of Bellemare, Dabney, Rowland 2023, *Distributional Reinforcement Learning*: the operator without projection.

Distances of small rational laws are exact; the library's metrics are held against them on the same instances.
"""

from proofs_check.families import particle_laws

TITLE = "Bellemare, Dabney, Rowland 2023: the operator without projection"
PLACE = 1
SOURCE = "Bellemare, Dabney, Rowland 2023"
PAIRS = particle_laws(2, 3)
