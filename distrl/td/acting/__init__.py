"""Learning to act: Q-learning and SARSA with values, laws or target tables for every (state, action) pair.

Definitions. Q(x, a) estimates the law (or the mean) of the return after action a in state x. A transition (x, a, r, y)
gives the target r + discount Q(y, b): with `update="q"` b has the largest mean at y, the first action where some tie;
with `update="sarsa"` it is the action that is played at y. What a method of `distrl.td` does with the estimate of a
state and a target, it does here with that of a pair.

Exploration. Along a trajectory the action is, with probability `exploration`, any of those that the state has, else the
greedy one; one number decides, in either case.

Convergence. Means: almost surely to the optimal values for "q" where the steps of every pair sum to inf, their squares
do not, and discount < 1, however the transitions come; for "sarsa" where exploration also vanishes and every pair is
still played for ever. Laws follow the greedy policy: they settle where the best action is unique, and need not
where some tie. Source: Watkins and Dayan 1992, "Q-learning"; Singh et al. 2000, "Convergence Results for Single-Step
On-Policy Reinforcement-Learning Algorithms"; Bellemare, Dabney and Rowland 2023, chapter 7.
"""
