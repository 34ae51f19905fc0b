"""`python -m edgekd_runtime.backends.probe PROVIDER` runs a model of one node on an ONNX Runtime provider: status 0 if it ran there."""

import sys

import numpy as np

from edgekd_runtime.backends.providers import open_inference

ONE_NODE = bytes.fromhex(
    "08081200 3a350a0e 0a01780a 01781201 79220341 64641201 675a0f0a 0178120a 0a080801 12040a02 0801620f 0a017912 0a0a0808 0112040a 02080142"
    "040a0010 0d"
)
"""An ONNX model, y = x + x of one float, since the runtime has no onnx to write one with."""


def main(provider: str) -> int:
    """Run it; the exit status. What ONNX Runtime says of a failure is on stderr."""
    session = open_inference(ONE_NODE, None, provider, quiet=False)
    if session.get_providers()[0] != provider:
        return 1
    return 0 if session.run(None, {"x": np.ones(1, np.float32)})[0][0] == 2 else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
