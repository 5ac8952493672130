"""PRISM's explicit model files: `.tra`, `.srew`, `.trew` and `.lab`.

    .tra    DTMC: `states transitions`, then lines `source target probability`
            MDP:  `states choices transitions`, then lines `source choice target probability`
            (either may end in an action's name, which is not kept)
    .srew   `states entries`, then lines `state reward`
    .trew   the header and lines of the .tra, with rewards for probabilities
    .lab    `0="init" 1="deadlock" 2="goal"`, then lines `state: label label ...`

Lines that begin with `#` are comments; a reward file may name its structure in one, `# Reward structure "steps"`, with
or without a colon. Any file may be compressed (`.tra.gz`, ...). Format: the appendix "Explicit Model Files" of the
PRISM manual.
"""

from distrl.models.prism.read import read_prism
from distrl.models.prism.write import write_prism

__all__ = ["read_prism", "write_prism"]
