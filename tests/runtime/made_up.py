"""A made-up CUDA and a made-up TensorRT, that keep to the rules of the real ones: of streams, captures, handles and reasons."""

import ctypes
import json
import sys
import types
from enum import Enum, IntEnum
from types import SimpleNamespace

import numpy as np


class CudaError(IntEnum):
    cudaSuccess = 0
    cudaErrorMemoryAllocation = 2
    cudaErrorInsufficientDriver = 35
    cudaErrorIllegalState = 401
    cudaErrorStreamCaptureUnsupported = 900
    cudaErrorStreamCaptureInvalidated = 901


class Runtime:
    """`cuda.bindings.runtime`, one GPU. A capture that is not ended makes every later one fail, and unsafe calls end it."""

    cudaError_t = CudaError
    cudaMemcpyKind = SimpleNamespace(cudaMemcpyHostToDevice=1, cudaMemcpyDeviceToHost=2)
    cudaStreamCaptureMode = SimpleNamespace(cudaStreamCaptureModeThreadLocal=1)

    def __init__(self, driver=13020, runtime=13050, instantiates=True):
        self.driver, self.runtime, self.instantiates = driver, runtime, instantiates
        self.live, self.memory, self.graphs = set(), {}, {}
        self.capturing, self.broken, self.clock, self.launched, self.last = None, False, 0.0, 0, 0
        for name in dir(type(self)):
            if name.startswith("cuda") and not name.endswith("_t") and callable(method := getattr(self, name)):
                setattr(self, name, self._named(name, method))

    def _named(self, name, method):
        def call(*arguments):
            unsafe = name in ("cudaMalloc", "cudaMallocHost", "cudaStreamSynchronize", "cudaStreamCreate")
            if self.driver // 1000 < self.runtime // 1000 and "Version" not in name:
                return (CudaError.cudaErrorInsufficientDriver, None)
            if unsafe and self.capturing is not None:
                self.broken = True
                return (CudaError.cudaErrorStreamCaptureUnsupported, None)
            return method(*arguments)

        call.__name__ = name
        return call

    def put(self, work):
        """On the stream: at once, or into the graph."""
        if self.capturing is not None:
            self.capturing.append(work)
        else:
            work()

    def _handle(self):
        self.last += 1
        self.live.add(self.last)
        return (CudaError.cudaSuccess, self.last)

    def _release(self, handle):
        self.live.remove(handle)
        return (CudaError.cudaSuccess,)

    def cudaDriverGetVersion(self):
        return (CudaError.cudaSuccess, self.driver)

    def cudaRuntimeGetVersion(self):
        return (CudaError.cudaSuccess, self.runtime)

    def cudaGetDeviceProperties(self, device):
        uuid = SimpleNamespace(bytes=bytes(range(16)))
        return (CudaError.cudaSuccess, SimpleNamespace(name=b"Made Up\0\0", major=8, minor=6, uuid=uuid))

    def cudaGetLastError(self):
        return (CudaError.cudaSuccess,)

    def _allocate(self, size):
        buffer = ctypes.create_string_buffer(size)
        address = ctypes.addressof(buffer)
        self.memory[address] = buffer
        self.live.add(address)
        return (CudaError.cudaSuccess, address)

    def cudaMallocHost(self, size):
        return self._allocate(size)

    def cudaMalloc(self, size):
        return self._allocate(size)

    def cudaStreamCreate(self):
        return self._handle()

    def cudaEventCreate(self):
        return self._handle()

    def cudaStreamSynchronize(self, stream):
        return (CudaError.cudaSuccess,)

    def cudaMemcpyAsync(self, to, source, size, kind, stream):
        self.put(lambda: ctypes.memmove(to, source, size))
        return (CudaError.cudaSuccess,)

    def cudaEventRecord(self, event, stream):
        self.clock += 1.5
        self.memory[event] = self.clock
        return (CudaError.cudaSuccess,)

    def cudaEventElapsedTime(self, first, last):
        return (CudaError.cudaSuccess, self.memory[last] - self.memory[first])

    def cudaStreamBeginCapture(self, stream, mode):
        if self.capturing is not None:
            return (CudaError.cudaErrorIllegalState,)
        self.capturing, self.broken = [], False
        return (CudaError.cudaSuccess,)

    def cudaStreamEndCapture(self, stream):
        works, self.capturing = self.capturing, None
        if works is None or self.broken:
            return (CudaError.cudaErrorStreamCaptureInvalidated, None)
        error, graph = self._handle()
        self.graphs[graph] = works
        return (error, graph)

    def cudaGraphInstantiate(self, graph, flags):
        if not self.instantiates:
            return (CudaError.cudaErrorMemoryAllocation, None)
        error, executable = self._handle()
        self.graphs[executable] = self.graphs[graph]
        return (error, executable)

    def cudaGraphLaunch(self, executable, stream):
        self.launched += 1
        for work in self.graphs[executable]:
            work()
        return (CudaError.cudaSuccess,)

    cudaStreamDestroy = cudaEventDestroy = cudaFree = cudaFreeHost = cudaGraphDestroy = cudaGraphExecDestroy = _release


def install_cuda(monkeypatch, **how):
    """In place of cuda-bindings; gives it."""
    runtime = Runtime(**how)
    monkeypatch.setitem(sys.modules, "cuda", types.ModuleType("cuda"))
    bindings = types.ModuleType("cuda.bindings")
    bindings.runtime = runtime
    monkeypatch.setitem(sys.modules, "cuda.bindings", bindings)
    return runtime


class Mode(Enum):
    INPUT, OUTPUT = range(2)


class Context:
    """Of an engine whose one kernel sums the channels; it may refuse to be captured."""

    def __init__(self, engine):
        self.engine, self.addresses = engine, {}
        if engine.capturable is not None:
            self.is_stream_capturable = lambda stream: engine.capturable

    def set_input_shape(self, name, shape):
        self.shape = shape

    def get_tensor_shape(self, name):
        return self.shape[:3]

    def set_tensor_address(self, name, address):
        self.addresses[name] = address

    def execute_async_v3(self, stream):
        if self.engine.cuda.capturing is not None and not self.engine.captures:
            return False
        _, height, width, channels = self.shape
        image, classes = (
            (ctypes.c_uint8 * (height * width * size)).from_address(self.addresses[name]) for name, size in (("image", 3), ("classes", 1))
        )

        def kernel():
            np.frombuffer(classes, np.uint8)[:] = np.frombuffer(image, np.uint8).reshape(-1, channels).sum(1) % 256

        self.engine.cuda.put(kernel)
        return True


class Engine:
    """A loaded engine.

    Args:
        cuda: The `Runtime` that it runs on.
        captures: Whether its kernels may be captured.
        capturable: What ``is_stream_capturable`` answers; None = there is no such method.
        layers: What the inspector tells.
    """

    num_io_tensors = 2

    def __init__(self, cuda, captures=True, capturable=None, layers=()):
        self.cuda, self.captures, self.capturable, self.layers, self.caches = cuda, captures, capturable, list(layers), []

    def get_tensor_name(self, index):
        return ("image", "classes")[index]

    def get_tensor_mode(self, name):
        return Mode.INPUT if name == "image" else Mode.OUTPUT

    def get_tensor_dtype(self, name):
        return np.uint8

    def create_engine_inspector(self):
        return SimpleNamespace(get_engine_information=lambda form: json.dumps({"Layers": self.layers}))

    def create_execution_context(self, runtime_config=None):
        return Context(self)

    def create_runtime_config(self):
        self.caches.append(cache := SimpleNamespace(content=b"", loaded=[]))
        made = SimpleNamespace(deserialize=cache.loaded.append, serialize=lambda: b"kernels")
        return SimpleNamespace(create_runtime_cache=lambda: made, set_runtime_cache=lambda cache: True)


class Logger:
    Severity = Enum("Severity", "INTERNAL_ERROR ERROR WARNING")


def install_tensorrt(monkeypatch, engine, module="tensorrt", fault=None):
    """In place of a family's bindings.

    Args:
        monkeypatch: pytest's.
        engine: What any plan is loaded as; None = it can't be.
        module: ``tensorrt`` or ``tensorrt_rtx``.
        fault: What the logger hears before builder and runtime fail, as the bindings of 10.3 and 11.4 do.
    """
    made = types.ModuleType(module)

    class Runtime:
        def __init__(self, logger):
            if fault:
                logger.log(Logger.Severity.ERROR, fault)
                raise TypeError("pybind11::init(): factory function returned nullptr")
            self.logger, self.engine_host_code_allowed = logger, False

        def deserialize_cuda_engine(self, plan):
            made.host_code_allowed = self.engine_host_code_allowed
            if engine is None:
                self.logger.log(Logger.Severity.ERROR, "The engine plan file is not compatible with this version")
            return engine

    made.__version__, made.ILogger, made.TensorIOMode, made.nptype = "10.3.0", Logger, Mode, lambda dtype: dtype
    made.LayerInformationFormat, made.Runtime, made.Builder = SimpleNamespace(JSON=1), Runtime, Runtime
    monkeypatch.setitem(sys.modules, module, made)
    return made
