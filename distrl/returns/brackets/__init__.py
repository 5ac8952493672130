"""Pairs of laws that enclose the true one, and intervals for what can be read from it."""

from distrl.returns.brackets.base import BracketReturns
from distrl.returns.brackets.convex import ConvexBrackets
from distrl.returns.brackets.stochastic import StochasticBrackets

__all__ = ["BracketReturns", "ConvexBrackets", "StochasticBrackets"]
