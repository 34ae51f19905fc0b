"""Objects by name without a fork: wherever a name of a registry stands, ``package.module:Name`` may stand too."""

import importlib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgekd_runtime.errors import MissingError, UsageError
from edgekd_runtime.nearest import nearest
from edgekd_runtime.trust import is_known, require_own, require_trust


def is_reference(name: str) -> bool:
    """Whether a name has the form ``package.module:Name``."""
    module, colon, attribute = name.partition(":")
    return bool(colon) and all(part.isidentifier() for part in (*module.split("."), *attribute.split(".")))


def load_reference(name: str) -> Any:
    """Import what ``package.module:Name`` names, if it may run; modules of the working folder are found too.

    Raises:
        UsageError: If it has no such form, is of Python's own library, is named by a file alone (see `edgekd_runtime.trust`), or the
            module has no such attribute.
        MissingError: If the module, or one that it needs, is not installed.
    """
    module_name = name.partition(":")[0]
    if not is_reference(name):
        raise UsageError(f"{name!r} is not of the form package.module:Name.")
    if module_name.partition(".")[0] in sys.stdlib_module_names:
        raise UsageError(f"{name!r} is of Python's own library, which has no such thing; name a module of yours.")
    here = str(Path.cwd())
    if here not in sys.path and "" not in sys.path:
        sys.path.append(here)
    if not (known := is_known(name)):
        require_trust(name)
    found = load_own(name)
    if known:
        require_own(found, name)
    return found


def load_own(name: str) -> Any:
    """Import what this project itself names.

    Raises:
        UsageError: If the module has no such attribute.
        MissingError: If the module, or one that it needs, is not installed.
    """
    module_name, _, attribute = name.partition(":")
    try:
        found: Any = importlib.import_module(module_name)
    except ImportError as error:
        raise MissingError(f"{name}: {error}; install the package, or run from the folder that holds the module.") from error
    except Exception as error:  # whatever the user's module does on import
        raise UsageError(f"{name}: importing {module_name} failed: {type(error).__name__}: {error}.") from error
    for part in attribute.split("."):
        if not hasattr(found, part):
            raise UsageError(f"{module_name} has no {attribute}; see the spelling.")
        found = getattr(found, part)
    return found


def look_up(name: str, registry: Mapping[str, Any], what: str, lists: str) -> Any:
    """An entry of a registry, or what a reference names.

    Args:
        name: Key, or ``package.module:Name``.
        registry: The entries that ship.
        what: What they are, for the message.
        lists: The command that lists them.

    Raises:
        UsageError: If it is neither; names the nearest key.
        MissingError: If the reference's module is not installed.
    """
    if name in registry:
        return registry[name]
    if is_reference(name):
        return load_reference(name)
    raise UsageError(
        f"Unknown {what} {name!r}{nearest(name, registry)}; `{lists}` lists them, and package.module:Name names one of your own."
    )
