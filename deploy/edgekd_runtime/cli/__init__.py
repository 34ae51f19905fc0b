"""The device's commands: one file a verb, each with its `HELP`, `arguments` and `run`."""

import argparse
import sys
from collections.abc import Sequence

from edgekd_runtime.bundle import Bundle
from edgekd_runtime.cli import bench, build, check, demo, predict
from edgekd_runtime.errors import EdgeKDError, StoppedError
from edgekd_runtime.signals import ended_as_by_ctrl_c
from edgekd_runtime.streams import end_by, hold_streams, require_utf8

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
    hold_streams()
    try:
        code = _run(sys.argv[1:] if arguments is None else arguments, bundle)
        sys.stdout.flush()
    except OSError as error:
        return end_by(error)
    return code


def _run(arguments: Sequence[str], bundle: Bundle | None) -> int:
    try:
        require_utf8(arguments)
        with ended_as_by_ctrl_c():
            given = make_parser(bundle).parse_args(arguments)
            given.run(given)
    except EdgeKDError as error:
        print(f"Error: {error}", file=sys.stderr)
        return error.exit_code
    except MemoryError:
        print("Error: There is not enough memory for it; use smaller sizes, or fewer at a time.", file=sys.stderr)
        return EdgeKDError.exit_code
    except KeyboardInterrupt:
        return StoppedError.exit_code
    except SystemExit as ended:  # argparse's own, after --help or wrong flags
        return ended.code if isinstance(ended.code, int) else 0
    return 0
