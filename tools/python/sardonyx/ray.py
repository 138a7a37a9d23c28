"""Scores a Dataset of Ray's::

    scored = dataset.map_batches(
        sardonyx.ray.Scorer, fn_constructor_args=("model.onnx",), concurrency=2, batch_size=64)

Each worker loads the model once. What is wrong with a row stands in the column "error", beside the rows that are well.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy

from ._library import Error
from ._scoring import RowScorer
from ._session import NodeArg
from ._values import element_type


class Scorer:
    """Runs a model on the rows of batches, which are dictionaries of arrays (`batch_format="numpy"`)."""

    def __init__(
        self,
        model: str | os.PathLike[str] | bytes,
        *,
        columns: Mapping[str, str] | None = None,
        outputs: Sequence[str] | None = None,
        prepare: Mapping[str, Callable[[Any], Any]] | None = None,
        error: str = "error",
        batch_size: int = 64,
        **options: Any,
    ) -> None:
        """Loads and prepares a model.

        :param model: the path of a file that each worker has, or the bytes of one.
        :param columns: by input, the column it is taken from; the one of the same name where none is named.
        :param outputs: those to compute; None for all.
        :param prepare: by input, what makes an array of a column's value, such as of an image's bytes.
        :param error: the column that tells what is wrong with a row, "" where nothing is.
        :param batch_size: rows of a run.
        :param options: those of `SessionOptions`; one thread a run unless they say otherwise, as workers share a
            machine.
        :raises Error: where the model cannot be loaded or does not fit.
        """
        self._scorer = RowScorer(model, columns, outputs, prepare, batch_size, {"threads": 1, **options})
        self._error = error

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """
        :return: the batch's columns, one for each output, whose rows are zeros where something is wrong, and what
            that is.
        """
        taken = [name for name in [*(value.name for value in self._scorer.outputs), self._error] if name in batch]
        if taken:
            raise Error("mismatch", f"columns of the batch: expected others than {taken}, which are added")
        results, faults = self._scorer.score(batch)
        scored = dict(batch)
        for value in self._scorer.outputs:
            scored[value.name] = _column(value, results[value.name])
        scored[self._error] = numpy.array([fault or "" for fault in faults], object)
        return scored


def _column(value: NodeArg, rows: list[Any]) -> numpy.ndarray[Any, Any]:
    """One array of all rows where they are of one shape, else an array of arrays."""
    good = [numpy.asarray(row) for row in rows if row is not None]
    # Where no row is well, as the model declares them, so that batches fit one another.
    declared = tuple(extent if isinstance(extent, int) else 0 for extent in value.shape[1:])
    shapes = {row.shape for row in good} or {declared}
    if len(shapes) == 1:
        kind = good[0].dtype if good else element_type(value.type)
        column = numpy.zeros((len(rows), *shapes.pop()), kind)
    else:
        column = numpy.empty(len(rows), object)
    for index, row in enumerate(rows):
        if row is not None:
            column[index] = row
    return column
