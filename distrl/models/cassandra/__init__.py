"""Cassandra's model files of decision processes, `.MDP`: the format of `pomdp-solve` without its observations.

    discount: 0.95                      what follows a # is a comment
    values: reward                      or cost
    states: sunny rainy                 names, or how many there are
    actions: 2
    start: sunny                        a state; or S probabilities; or uniform;
                                        start include: ... or start exclude: ... for uniform over some
    T: 0 : sunny : rainy 0.1            one probability,
    T: 0 : rainy   0.5 0.5              a row of S (or uniform, or reset: the law of the start),
    T: 1   identity                     or all S rows of an action (or uniform)
    R: 0 : sunny : *   2.0              rewards likewise: one, a row by next state, or S rows
    R: * : rainy : * -1.0

`*` stands for every state or action, a later line has it over an earlier one, and where nothing is said, there is
nothing: probability 0, reward 0.
"""

from distrl.models.cassandra.read import read_cassandra

__all__ = ["read_cassandra"]
