"""The source network in float64, written from the operators' definitions: what the importer is held to.

Independent of the importer and of the exact arithmetic on purpose. Next to every value goes a bound on what
rounding may have done to it, in units of the last place.
"""

from pulsefold.sim.source.evaluate import Source, State
from pulsefold.sim.source.quantizers import QUANTIZERS, Quantizer

__all__ = ["QUANTIZERS", "Quantizer", "Source", "State"]
