"""Scores a DataFrame of Spark's::

    scored = sardonyx.spark.score(frame, "model.onnx", columns={"image": "pixels"})

Each worker loads the model once. What is wrong with a row stands in the column "error", beside the rows that are well.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy
import pyarrow
from pyspark.sql import DataFrame, types

from ._library import Error
from ._scoring import RowScorer
from ._session import NodeArg

#: Per type of ONNX, that of Spark's columns; unsigned numbers go into the next wider type.
_TYPES: dict[str, tuple[types.DataType, pyarrow.DataType]] = {
    "tensor(float)": (types.FloatType(), pyarrow.float32()),
    "tensor(float16)": (types.FloatType(), pyarrow.float32()),
    "tensor(bfloat16)": (types.FloatType(), pyarrow.float32()),
    "tensor(double)": (types.DoubleType(), pyarrow.float64()),
    "tensor(bool)": (types.BooleanType(), pyarrow.bool_()),
    "tensor(string)": (types.StringType(), pyarrow.string()),
    "tensor(int8)": (types.ByteType(), pyarrow.int8()),
    "tensor(int16)": (types.ShortType(), pyarrow.int16()),
    "tensor(int32)": (types.IntegerType(), pyarrow.int32()),
    "tensor(int64)": (types.LongType(), pyarrow.int64()),
    "tensor(uint8)": (types.ShortType(), pyarrow.int16()),
    "tensor(uint16)": (types.IntegerType(), pyarrow.int32()),
    "tensor(uint32)": (types.LongType(), pyarrow.int64()),
}


def score(
    frame: DataFrame,
    model: str | os.PathLike[str] | bytes,
    *,
    columns: Mapping[str, str] | None = None,
    outputs: Sequence[str] | None = None,
    prepare: Mapping[str, Callable[[Any], Any]] | None = None,
    error: str = "error",
    batch_size: int = 64,
    **options: Any,
) -> DataFrame:
    """Runs a model on each row.

    :param frame: rows; an input's value is a number, a text, bytes, or an array, flat or nested.
    :param model: the path of a file that each worker has, or the bytes of one, which then travel to the workers.
    :param columns: by input, the column it is taken from; the one of the same name where none is named.
    :param outputs: those to compute; None for all.
    :param prepare: by input, what makes an array of a column's value, such as of an image's bytes.
    :param error: the column that tells what is wrong with a row, null where nothing is.
    :param batch_size: rows of a run.
    :param options: those of `SessionOptions`; one thread a run unless they say otherwise, as workers share a machine.
    :return: the frame's columns, then one for each output: an array of the row's numbers, row after row, or a
        single one where the model has no further axis.
    :raises Error: where the model cannot be loaded here or does not fit.
    """
    options = {"threads": 1, **options}
    arguments = (os.fspath(model) if not isinstance(model, bytes) else model, columns, outputs, prepare,
                 batch_size, options)
    scorer = RowScorer(*arguments)
    taken = [value.name for value in scorer.outputs if value.name in frame.columns] + [
        error for name in frame.columns if name == error]
    if taken:
        raise Error("mismatch", f"columns of the frame: expected others than {taken}, which are added")
    missing = sorted(set(scorer.columns.values()) - set(frame.columns))
    if missing:
        raise Error("mismatch", f"columns of the frame: expected {missing} among them, got {frame.columns}")
    fields = [types.StructField(value.name, _column(value)[0]) for value in scorer.outputs]
    fields.append(types.StructField(error, types.StringType()))
    schema = types.StructType([*frame.schema.fields, *fields])
    return frame.mapInArrow(functools.partial(_score_batches, arguments, error), schema)


def _column(value: NodeArg) -> tuple[types.DataType, pyarrow.DataType]:
    if value.type not in _TYPES:
        raise Error(
            "unsupported", f"output \"{value.name}\" is {value.type or 'of no declared type'}: expected one of "
            + ", ".join(_TYPES))
    spark, arrow = _TYPES[value.type]
    if len(value.shape) == 1:
        return spark, arrow
    return types.ArrayType(spark), pyarrow.list_(arrow)


def _score_batches(
    arguments: tuple[Any, ...], error: str, batches: Iterator[pyarrow.RecordBatch]
) -> Iterator[pyarrow.RecordBatch]:
    scorer = RowScorer(*arguments)
    for batch in batches:
        given = {name: _values(batch.column(name)) for name in scorer.columns.values()}
        results, faults = scorer.score(given)
        arrays, names = list(batch.columns), list(batch.schema.names)
        for value in scorer.outputs:
            _, arrow = _column(value)
            is_list = pyarrow.types.is_list(arrow)
            rows = [None if row is None else _plain(row, is_list) for row in results[value.name]]
            arrays.append(pyarrow.array(rows, arrow))
            names.append(value.name)
        arrays.append(pyarrow.array(faults, pyarrow.string()))
        yield pyarrow.RecordBatch.from_arrays(arrays, [*names, error])


def _plain(row: Any, is_list: bool) -> Any:
    array = numpy.asarray(row)
    if array.dtype.kind == "V" or array.dtype == numpy.float16:
        array = array.astype(numpy.float32)
    return array.ravel().tolist() if is_list else array.item()


def _values(column: pyarrow.Array) -> Sequence[Any]:
    """A column's values; lists of numbers as arrays in the column's own memory."""
    is_list = pyarrow.types.is_list(column.type) or pyarrow.types.is_large_list(column.type)
    if not is_list or not pyarrow.types.is_primitive(column.type.value_type) or column.values.null_count:
        return column.to_pylist()
    numbers = column.values.to_numpy(zero_copy_only=False)
    offsets = column.offsets.to_numpy()
    return [numbers[offsets[row]:offsets[row + 1]] if column[row].is_valid else None for row in range(len(column))]
