"""What networks run on: ONNX Runtime sessions for the default, PyTorch devices for STAF."""
