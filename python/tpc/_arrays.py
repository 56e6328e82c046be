"""Between the arrays that callers have and those that programs take."""

from __future__ import annotations

from typing import Any, Sequence

import ml_dtypes
import numpy as np

from tpc._errors import error_here

#: Element types by name. numpy has no bf16 of its own: ml_dtypes has.
DTYPES: dict[str, np.dtype] = {
    "f32": np.dtype(np.float32),
    "f64": np.dtype(np.float64),
    "bf16": np.dtype(ml_dtypes.bfloat16),
    "f16": np.dtype(np.float16),
    "i32": np.dtype(np.int32),
    "i64": np.dtype(np.int64),
    "bool": np.dtype(np.bool_),
}
_NAMES = {dtype: name for name, dtype in DTYPES.items()}


def dtype_name(dtype: Any) -> str:
    """The name of a type given by name ("f32"), or as anything that
    `numpy.dtype` takes."""
    if isinstance(dtype, str) and dtype in DTYPES:
        return dtype
    try:
        return _NAMES[np.dtype(dtype)]
    except (KeyError, TypeError):
        raise error_here(
            f"expected a type of {', '.join(DTYPES)} or its numpy form, found "
            f"{dtype!r}") from None


def _is_foreign(value: Any) -> bool:
    return hasattr(value, "__dlpack__") and not isinstance(
        value, (np.ndarray, np.generic))


def to_native(name: str, value: Any, dtype: str | None = None) -> tuple:
    """What the extension takes: (name, array, type or None). `dtype`: what the
    program expects; Python numbers and lists become that, arrays are converted
    where nothing can be lost but precision within their kind."""
    if _is_foreign(value):
        return name, value, None
    array = np.asarray(value)
    if dtype is not None and array.dtype != DTYPES[dtype]:
        is_literal = not isinstance(value, (np.ndarray, np.generic))
        if not is_literal and not _same_kind(array.dtype, DTYPES[dtype]):
            raise error_here(f"{name}: expected an array of {dtype}, found "
                             f"{array.dtype}; convert it with astype()")
        array = array.astype(DTYPES[dtype])
    array = np.require(array, requirements="C")
    found = dtype_name(array.dtype)
    if found == "bf16":
        return name, array.view(np.uint16), found
    return name, array, None


def _same_kind(found: np.dtype, expected: np.dtype) -> bool:
    def kind(dtype: np.dtype) -> str:
        if dtype == DTYPES["bf16"]:
            return "f"
        return "i" if dtype.kind in "iu" else dtype.kind

    return kind(found) == kind(expected)


def from_native(result: Sequence) -> np.ndarray:
    """An output of the extension: (array, type)."""
    array, name = result
    return array.view(DTYPES[name]) if name == "bf16" else array
