"""From ONNX to a plan: import, exact numbers, folding. Never imports the circuit library."""
