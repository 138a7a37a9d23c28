"""Scores rows of tables, for the engines that share tables out among workers."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy

from ._library import Error
from ._session import InferenceSession, NodeArg
from ._values import element_type

_sessions: dict[Any, InferenceSession] = {}
_lock = threading.Lock()


def session_of(model: str | os.PathLike[str] | bytes, options: Mapping[str, Any]) -> InferenceSession:
    """The session of a model, loaded once in each process."""
    identity = hashlib.sha256(model).digest() if isinstance(model, bytes) else os.fspath(model)
    key = (identity, tuple(sorted((name, repr(value)) for name, value in options.items())))
    with _lock:
        if key not in _sessions:
            _sessions[key] = InferenceSession(model, **options)
        return _sessions[key]


class RowScorer:
    """Runs a model on rows; those that cannot be run are told apart from the others."""

    def __init__(
        self,
        model: str | os.PathLike[str] | bytes,
        columns: Mapping[str, str] | None,
        outputs: Sequence[str] | None,
        prepare: Mapping[str, Callable[[Any], Any]] | None,
        batch_size: int,
        options: Mapping[str, Any],
    ) -> None:
        if batch_size < 1:
            raise ValueError(f"batch_size: expected 1 or more, got {batch_size}")
        self.session = session_of(model, options)
        known = {value.name: value for value in self.session.get_outputs()}
        unknown = [name for name in outputs or [] if name not in known]
        if unknown:
            raise Error("mismatch", f"outputs: expected some of {sorted(known)}, got {unknown}")
        #: What is computed, in order.
        self.outputs: list[NodeArg] = [known[name] for name in outputs or known]
        #: The column that each input is taken from.
        self.columns = {value.name: (columns or {}).get(value.name, value.name)
                        for value in self.session.get_inputs()}
        strange = sorted(set(columns or {}) - set(self.columns))
        if strange:
            raise Error(
                "mismatch", f"columns: expected inputs among {sorted(self.columns)}, got {strange}")
        self._inputs = self.session.get_inputs()
        self._prepare = dict(prepare or {})
        extents = {value.shape[0] for value in self._inputs if value.shape}
        if any(isinstance(extent, int) and extent != 1 for extent in extents):
            raise Error(
                "mismatch", f"the model runs {max(e for e in extents if isinstance(e, int))} rows at a time; "
                "expected any number, or one")
        self._batch_size = 1 if any(isinstance(extent, int) for extent in extents) else batch_size

    def score(
        self, columns: Mapping[str, Sequence[Any]]
    ) -> tuple[dict[str, list[numpy.ndarray[Any, Any] | None]], list[str | None]]:
        """
        :param columns: by column name, as many values each.
        :return: by output name what each row gives, and what is wrong with each row; None in either where there is
            nothing.
        """
        missing = sorted(set(self.columns.values()) - set(columns))
        if missing:
            raise Error("mismatch", f"columns: expected {missing} among them, got {sorted(columns)}")
        count = len(columns[next(iter(self.columns.values()))]) if self.columns else 0
        faults: list[str | None] = [None] * count
        results: dict[str, list[Any]] = {value.name: [None] * count for value in self.outputs}
        groups: dict[Any, list[tuple[int, dict[str, Any]]]] = {}
        for row in range(count):
            try:
                feed = {value.name: self._array(value, columns[self.columns[value.name]][row])
                        for value in self._inputs}
            except Exception as error:  # Of whatever kind: values and their preparation are the caller's.
                faults[row] = f"{type(error).__name__}: {error}" if not isinstance(error, Error) else str(error)
                continue
            groups.setdefault(tuple(array.shape for array in feed.values()), []).append((row, feed))
        for group in groups.values():
            for first in range(0, len(group), self._batch_size):
                self._run(group[first:first + self._batch_size], results, faults)
        return results, faults

    def _array(self, value: NodeArg, given: Any) -> numpy.ndarray[Any, Any]:
        """A row's part of an input."""
        column = self.columns[value.name]
        if given is None:
            raise Error("mismatch", f"column \"{column}\": expected a value, got none")
        if value.name in self._prepare:
            given = self._prepare[value.name](given)
        array = numpy.asarray(given, element_type(value.type))
        shape = value.shape[1:]
        if all(isinstance(extent, int) for extent in shape) and array.size == numpy.prod(shape, dtype=int):
            return array.reshape([int(extent) for extent in shape if extent is not None])
        fits = len(array.shape) == len(shape) and all(
            not isinstance(extent, int) or extent == found for extent, found in zip(shape, array.shape))
        if value.shape and not fits:
            raise Error(
                "mismatch", f"column \"{column}\": expected a row of {value.type} {shape}, got {list(array.shape)}")
        return array

    def _run(
        self, rows: list[tuple[int, dict[str, Any]]], results: dict[str, list[Any]], faults: list[str | None]
    ) -> None:
        names = [value.name for value in self.outputs]
        feed = {value.name: numpy.stack([row[1][value.name] for row in rows]) for value in self._inputs}
        try:
            values = self.session.run(names, feed)
            for name, array in zip(names, values):
                if not isinstance(array, numpy.ndarray) or array.shape[:1] != (len(rows),):
                    raise Error(
                        "mismatch", f"output \"{name}\": expected an array with a row for each of {len(rows)} rows")
        except Error as error:
            if len(rows) == 1:
                faults[rows[0][0]] = str(error)
            else:
                for row in rows:
                    self._run([row], results, faults)
            return
        for name, array in zip(names, values):
            for index, (row, _) in enumerate(rows):
                results[name][row] = array[index]
