"""What the subcommands `compare`, `fold` and `inspect` find, as plain data."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from ._library import Texts, check, ffi, library, make, new, open_model, owned, structure, text
from ._session import SessionOptions, _descriptions, notes
from ._values import to_library


def compare(
    model: str | os.PathLike[str] | bytes,
    inputs: Mapping[str, Any],
    *,
    reference: str | os.PathLike[str] | bytes | None = None,
    layers: bool = False,
    relative_tolerance: float = 1e-5,
    absolute_tolerance: float = 0,
    **options: Any,
) -> dict[str, Any]:
    """Runs a model folded beside itself, or another one, with BatchNormalization as written.

    :param inputs: by name, as for `InferenceSession.run`.
    :param reference: another model with values of the same names.
    :param layers: whether to compare values inside the graph too.
    :param options: those of `SessionOptions`.
    :return: `passed`, `outputs` and `layers`, each of these a list of entries with name, operator, passed and, where
        they could be measured, max_absolute, allowed, magnitude, relative, rms, cosine and ulp.
    """
    handle = open_model(model)
    other = ffi.NULL if reference is None else open_model(reference)
    names, given, handles = _given(handle, inputs)
    prepared, kept = SessionOptions(**options).structure()
    tolerance = structure(
        "sardonyx_comparison_options", relative_tolerance=relative_tolerance,
        absolute_tolerance=absolute_tolerance, layers=layers)
    comparison = make(
        "sardonyx_comparison", library.sardonyx_compare, handle, other, names.pointers, handles,
        len(given), prepared, tolerance)
    del kept
    return {
        "passed": bool(library.sardonyx_comparison_passed(comparison)),
        "outputs": _entries(comparison, "output"),
        "layers": _entries(comparison, "layer"),
    }


def _given(handle: Any, inputs: Mapping[str, Any]) -> tuple[Texts, list[Any], Any]:
    """The names of the inputs, their values and these as an array of handles."""
    types = {value.name: value.type or None for value in _descriptions(handle, "input")}
    given = [to_library(value, types.get(name)) for name, value in inputs.items()]
    handles = ffi.new("const sardonyx_value *[]", [value.handle for value in given])
    return Texts(list(inputs)), given, handles


def _entries(comparison: Any, kind: str) -> list[dict[str, Any]]:
    made = []
    for index in range(getattr(library, f"sardonyx_comparison_{kind}_count")(comparison)):
        entry = structure("sardonyx_comparison_entry")
        getattr(library, f"sardonyx_comparison_{kind}")(comparison, index, entry)
        told: dict[str, Any] = {
            "name": text(entry.name),
            "operator": text(entry.operator_name),
            "passed": bool(entry.passed),
            "remark": text(entry.remark),
        }
        if entry.is_measured:
            told |= {
                name: getattr(entry, name)
                for name in ("max_absolute", "allowed", "magnitude", "relative", "rms", "cosine")
            }
            told["ulp"] = None if entry.ulp < 0 else entry.ulp
        made.append(told)
    return made


def fold(
    model: str | os.PathLike[str] | bytes,
    path: str | os.PathLike[str] | None = None,
    *,
    inputs: Mapping[str, Any] | None = None,
    relative_tolerance: float = 1e-5,
    absolute_tolerance: float = 0,
    **options: Any,
) -> dict[str, Any]:
    """Folds BatchNormalization into weights: a model of ONNX's own operators for any engine.

    :param path: where to write the model, whole or not at all.
    :param inputs: by name; where given, folds are taken back until no output for them is farther from that of the
        model as written than a quarter of the tolerance, the rest being for engines that sum in another order.
    :param options: those of `SessionOptions`, for runs on the inputs.
    :return: `notes`, what became of each BatchNormalization, and without a path `model`, the bytes of the file.
    """
    folded, told, error = new("sardonyx_model"), new("sardonyx_notes"), new("sardonyx_error")
    handle = open_model(model)
    if inputs is None:
        if options:
            raise TypeError(f"{', '.join(options)}: expected with inputs")
        check(library.sardonyx_model_fold(handle, folded, told, error), error)
    else:
        names, given, handles = _given(handle, inputs)
        prepared, kept = SessionOptions(**options).structure()
        tolerance = structure(
            "sardonyx_comparison_options", relative_tolerance=relative_tolerance,
            absolute_tolerance=absolute_tolerance)
        code = library.sardonyx_model_fold_within(
            handle, names.pointers, handles, len(given), prepared, tolerance, folded, told, error)
        del kept
        check(code, error)
    handle, remarks = owned(folded[0], "sardonyx_model"), owned(told[0], "sardonyx_notes")
    if path is not None:
        check(library.sardonyx_model_write(handle, os.fsencode(path), error), error)
        return {"notes": notes(remarks)}
    value = make("sardonyx_value", library.sardonyx_model_bytes, handle)
    count = library.sardonyx_value_byte_count(value)
    content = bytes(ffi.buffer(library.sardonyx_value_elements(value), count))
    return {"notes": notes(remarks), "model": content}


def inspect(
    model: str | os.PathLike[str] | bytes, dimensions: Mapping[str, int] | None = None
) -> dict[str, Any]:
    """Tells what a model is made of.

    :param dimensions: numbers for symbolic dimensions of the inputs.
    :return: inputs and outputs (name, type, shape), operators with how often each is used, parameters,
        parameter_bytes, and multiply_adds, None where shapes are not known.
    """
    handle = open_model(model)
    given = dict(dimensions or {})
    names = Texts(list(given))
    extents = ffi.new("int64_t[]", list(given.values()))
    inspection = make(
        "sardonyx_inspection", library.sardonyx_model_inspect, handle, names.pointers, extents,
        len(given))
    summary = structure("sardonyx_summary")
    library.sardonyx_inspection_summary(inspection, summary)
    name, count = ffi.new("const char **"), ffi.new("uint64_t *")
    operators = {}
    for index in range(library.sardonyx_inspection_operator_count(inspection)):
        library.sardonyx_inspection_operator(inspection, index, name, count)
        operators[text(name[0])] = count[0]
    return {
        **{
            f"{kind}s": [
                {"name": value.name, "type": value.type or None, "shape": value.shape}
                for value in _descriptions(handle, kind)
            ]
            for kind in ("input", "output")
        },
        "operators": operators,
        "parameters": summary.parameter_count,
        "parameter_bytes": summary.parameter_byte_count,
        "multiply_adds": None if summary.multiply_adds < 0 else summary.multiply_adds,
    }
