"""Graph to graph: small, named, each with what it needs and what it leaves, verified in between."""

from pulsefold.compiler.passes.pipeline import PASSES, Pass, run_passes
from pulsefold.compiler.passes.verify import verify

__all__ = ["PASSES", "Pass", "run_passes", "verify"]
