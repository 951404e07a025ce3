"""ONNX sessions and the batches that they run."""
