"""`edgekd.train`, `edgekd.distill` and `edgekd.export` are rooms of the house and verbs of its Python face: the package can be called."""

import sys
from importlib import import_module
from types import ModuleType
from typing import Any


class Verb(ModuleType):
    """A package that, called, does what the function of its name in `edgekd.api` does."""

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        # by its name: the rooms lie below it
        return getattr(import_module("edgekd.api"), self.__name__.rpartition(".")[2])(*arguments, **options)


def is_a_verb(name: str) -> None:
    """Make the package of this name one."""
    sys.modules[name].__class__ = Verb
