"""The device's commands: one file a verb, each with its `HELP`, `arguments` and `run`."""

import argparse
import os
import sys
from collections.abc import Sequence

from edgekd_runtime.bundle import Bundle
from edgekd_runtime.cli import bench, build, check, demo, predict
from edgekd_runtime.errors import EdgeKDError, StoppedError
from edgekd_runtime.signals import ended_as_by_ctrl_c

VERBS = {"check": check, "build": build, "bench": bench, "demo": demo, "predict": predict}


def make_parser(bundle: Bundle | None = None) -> argparse.ArgumentParser:
    """What reads the command line; `bundle` as for `main`."""
    name = "python3 BUNDLE" if bundle else "python -m edgekd_runtime"
    parser = argparse.ArgumentParser(prog=name, description="Check this device, build engines, measure models, paint videos.")
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    for verb, module in VERBS.items():
        one = verbs.add_parser(verb, help=module.HELP)
        one.set_defaults(run=module.run, bundle=bundle)
        module.arguments(one, bundle)
    return parser


def main(arguments: Sequence[str] | None = None, bundle: Bundle | None = None) -> int:
    """Run one verb.

    Args:
        arguments: Of the command line.
        bundle: The unpacked bundle that this program came in; its models are meant where none is named.

    Returns:
        The exit status.
    """
    given = make_parser(bundle).parse_args(arguments)
    try:
        with ended_as_by_ctrl_c():
            given.run(given)
        sys.stdout.flush()
    except EdgeKDError as error:
        print(f"Error: {error}", file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:  # whoever read the output has gone, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python would complain at its end
        return 1
    except KeyboardInterrupt:
        return StoppedError.exit_code
    return 0
