"""Lowering: the units that each layer becomes under a folding."""

from pulsefold.compiler.plan.lower.rule import Rule
from pulsefold.compiler.plan.lower.rules import RULES, WITHIN, lanes_of, units_of

__all__ = ["RULES", "WITHIN", "Rule", "lanes_of", "units_of"]
