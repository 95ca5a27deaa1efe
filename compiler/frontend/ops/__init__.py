"""Rules of the importer: one function an ONNX operator, all listed in :mod:`..registry`."""
