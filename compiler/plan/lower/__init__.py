"""Lowering: the units that each layer becomes under a folding."""

from pulsefold.compiler.plan.lower.rule import Rule, divisors
from pulsefold.compiler.plan.lower.rules import RULES, WITHIN, lanes_of, units_of

__all__ = ["RULES", "WITHIN", "Rule", "divisors", "lanes_of", "units_of"]
