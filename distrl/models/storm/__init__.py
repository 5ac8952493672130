"""Storm's models: DRN files, and the objects of stormpy.

    @type: DTMC                       or MDP
    @value_type: double               or rational
    @parameters                       a line of names follows, which is empty
    @reward_models
    steps energy
    @nr_states
    3
    @nr_choices
    3
    @model
    state 0 [0, 1.5] init             rewards of each structure, then labels
        action go [1, 0]              the name of the choice, then its rewards
            1 : 0.5                   target : probability
            2 : 0.5

Lines that begin with `//` are comments. The reward of a transition is that of its state plus that of its choice.
Storm's other form, explicit .tra and .lab files, is read by `distrl.read_prism`. Format: "Direct encoding" in Storm's
documentation.
"""

from distrl.models.storm.read import read_drn
from distrl.models.storm.stormpy import from_stormpy
from distrl.models.storm.write import write_drn

__all__ = ["from_stormpy", "read_drn", "write_drn"]
