"""Networks as files for other programs: ONNX, OpenVINO, TensorRT, Core ML, TorchScript."""
