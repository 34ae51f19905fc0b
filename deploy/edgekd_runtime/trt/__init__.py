"""TensorRT: one code path for TensorRT 10, 11 and TensorRT for RTX. Precision is in the graph, so nothing here chooses one."""
