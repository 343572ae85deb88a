"""Stands in for TensorRT where it cannot be installed: every name is there, nothing computes.

With it torch-tensorrt's Python package can be imported, and asked what its converters convert.
"""

from __future__ import annotations

import sys
from typing import Any

__version__ = "11.1.0"
_package_name = "tensorrt"
ABSENT = {"tensorrt_rtx"}  # torch-tensorrt tells its two variants apart by such names


class _Name(type):
    """A class, an enumeration or a function; its members are made when they are first asked for."""

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        setattr(cls, name, _named(name))
        return cls.__dict__[name]

    def __int__(cls) -> int:
        return 0


def _named(name: str) -> _Name:
    return _Name(name, (), {"__init__": lambda self, *args, **kwargs: None})


def __getattr__(name: str) -> Any:
    if name.startswith("__") or name in ABSENT:
        raise AttributeError(name)
    return globals().setdefault(name, _named(name))


tensorrt = sys.modules["tensorrt.tensorrt"] = sys.modules[__name__]  # the package's own compiled part
