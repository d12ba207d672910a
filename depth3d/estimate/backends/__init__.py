"""Programs that run a network: PyTorch as it is or compiled, ONNX Runtime, OpenVINO, TensorRT."""
