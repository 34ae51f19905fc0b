"""`check`."""

import argparse
import json

from edgekd_runtime.bundle import Bundle
from edgekd_runtime.check import check_machine

HELP = "what can run here, and what is missing"


def arguments(parser: argparse.ArgumentParser, bundle: Bundle | None) -> None:
    """Its flags."""
    parser.add_argument("--json", action="store_true", help="print one JSON document on stdout")


def run(given: argparse.Namespace) -> None:
    """Print it."""
    found = check_machine()
    if given.json:
        print(json.dumps(found, indent=2))
        return
    print(f"{found['device']['name']}, {found['device']['cores']} cores; GPU: {found['gpu'].get('name') or found['gpu']['missing']}")
    for group in ("backends", "builders"):
        for name, one in found[group].items():
            print(f"{group[:-1]:8}{name:22}{'yes' if one['usable'] else 'no':4}{one['detail']}")
