"""Golden model, reference, and simulation of circuits."""
