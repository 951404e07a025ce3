"""The networks: their ONNX contracts, pre-processing, weights and torch modules. Nothing here imports the service."""
