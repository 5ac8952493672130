"""Explicit model files: PRISM's `.tra`, `.srew`, `.trew` and `.lab`, and Storm's.

    .tra    DTMC: `states transitions`, then lines `source target probability`
            MDP:  `states choices transitions`, then lines `source choice target probability`
            (either may end in an action's name)
    .srew   `states entries`, then lines `state reward`
    .trew   the header and lines of the .tra, with rewards for probabilities
    .lab    `0="init" 1="deadlock" 2="goal"`, then lines `state: label label ...`
    .pexp   all of these in one file, each after its comment

Lines that begin with `#` are comments; a reward file may name its structure in one, `# Reward structure "steps"`, with
or without a colon. Storm's files have the same lines and no counts: the .tra begins with `dtmc` or `mdp`, the .lab with
the names between `#DECLARATION` and `#END`, and its lines `state name name ...` have no colon; rewards are in
`.state.rew` and `.trans.rew`. Numbers may be decimals or fractions. Any file may be compressed (`.tra.gz`, `.tra.xz`).
Format: the appendix "Explicit Model Files" of the PRISM manual, and "Explicit" in Storm's documentation.
"""

from distrl.models.prism.read import read_prism
from distrl.models.prism.write import write_prism

__all__ = ["read_prism", "write_prism"]
