"""Errors that name the line of the user's program."""

from __future__ import annotations

import contextlib
import os
import sys

from tpc import _tpc

_PACKAGE = os.path.dirname(os.path.abspath(__file__))


def caller() -> tuple[str, int]:
    """The file and line of the innermost frame outside of this package."""
    frame = sys._getframe(1)
    while frame.f_back and (frame.f_code.co_filename == contextlib.__file__ or
                            os.path.dirname(os.path.abspath(
                                frame.f_code.co_filename)) == _PACKAGE):
        frame = frame.f_back
    return frame.f_code.co_filename, frame.f_lineno


def error_here(message: str) -> _tpc.Error:
    """An error at the caller's line."""
    file, line = caller()
    return _tpc.Error(f"{file}:{line}: {message}")
