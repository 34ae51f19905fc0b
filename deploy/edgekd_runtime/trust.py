"""Which code may run: what the user names himself may, what a file of a stranger names may not until the user says so.

A run, a checkpoint or a sidecar can name code, ``package.module:function``, with arguments of its choice; importing it runs it. Such a
name is followed if the user named it in this process (a flag, a recipe file that is no run's, Python), if he did so on this machine
before, if it is a network of a library known here, or after ``edgekd --trust`` or ``EDGEKD_TRUST=1``.
"""

import os
import re
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from edgekd_runtime.errors import EdgeKDError, UsageError

SWITCH = "EDGEKD_TRUST"
RECORD = "named_code.json"
"""In the user's cache: reference → where its package lay when the user named it."""
KNOWN = ("torchvision.models", "segmentation_models_pytorch")
"""Packages whose own functions and classes build networks and do nothing else."""
_named: set[str] = set()


def trust_all() -> None:
    """Follow every name, in this process and those that it starts."""
    os.environ[SWITCH] = "1"


def name_by_user(what: Any) -> None:
    """Remember the words of what the user gave: a name, or a document with names in it."""
    if isinstance(what, dict):
        for value in what.values():
            name_by_user(value)
    elif isinstance(what, (list, tuple)):
        for value in what:
            name_by_user(value)
    elif isinstance(what, str):
        _named.add(what)


def require_trust(name: str, record: bool = True) -> None:
    """Refuse what only a file names.

    Args:
        name: ``package.module:Name``, or a file that holds code.
        record: Remember on this machine that the user named it.

    Raises:
        UsageError: With what to do.
    """
    if any(re.search(rf"(?<![\w.]){re.escape(name)}(?![\w.:])", given) for given in _named) or os.environ.get(SWITCH) == "1":
        if record:
            _record(name)
    elif not (record and _recorded().get(name, "") == _origin(name)):
        raise UsageError(
            f"{name} is code that a file names, and you have not named it on this machine: if you trust where the file comes from, "
            f"put --trust before the verb (edgekd --trust VERB), or set {SWITCH}=1."
        )


def is_known(name: str) -> bool:
    """Whether a reference is into a package of `KNOWN`, installed and not of a folder that calls itself so."""
    return _inside(name.partition(":")[0]) and {"site-packages", "dist-packages"} & set(Path(_origin(name)).parts) != set()


def require_own(found: Any, name: str) -> None:
    """Refuse what a package of `KNOWN` merely imports.

    Raises:
        UsageError: If it is not defined there.
    """
    if not _inside(str(getattr(found, "__module__", ""))):
        raise UsageError(f"{name} is not defined in that package; name it where it is.")


def _inside(module: str) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in KNOWN)


def _recorded() -> dict[str, str]:
    """Reference → where its package lies, of those that the user named on this machine."""
    from edgekd_runtime.files import read_json, user_cache  # it brings OpenCV, for which no help should wait

    with suppress(EdgeKDError):
        document = read_json(user_cache() / RECORD)
        if isinstance(document, dict):
            return document
    return {}


def _record(name: str) -> None:
    from edgekd_runtime.files import user_cache, write_json

    before = _recorded()
    if before.get(name) != (origin := _origin(name)):
        with suppress(EdgeKDError):  # then it is asked for again
            write_json(user_cache() / RECORD, before | {name: origin})


def _origin(name: str) -> str:
    """Where the package of a reference lies; another of the same name is another."""
    with suppress(ImportError, ValueError, AttributeError):
        spec = find_spec(name.partition(":")[0].partition(".")[0])  # of the package alone, for looking further would import it
        if spec is not None:
            return str(spec.origin or next(iter(spec.submodule_search_locations or ()), ""))
    return "nowhere"
