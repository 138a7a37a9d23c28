"""Values of the library from and to Python: arrays, lists, dictionaries, None."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy

from ._library import Error, Texts, ffi, library, make, owned, text

#: TensorProto.DataType → the type of arrays.
DTYPES: dict[int, numpy.dtype[Any]] = {
    1: numpy.dtype("float32"),
    2: numpy.dtype("uint8"),
    3: numpy.dtype("int8"),
    4: numpy.dtype("uint16"),
    5: numpy.dtype("int16"),
    6: numpy.dtype("int32"),
    7: numpy.dtype("int64"),
    8: numpy.dtype("O"),
    9: numpy.dtype("bool"),
    10: numpy.dtype("float16"),
    11: numpy.dtype("float64"),
    12: numpy.dtype("uint32"),
    13: numpy.dtype("uint64"),
    14: numpy.dtype("complex64"),
    15: numpy.dtype("complex128"),
}
for _number, _name in {
    16: "bfloat16",
    17: "float8_e4m3fn",
    18: "float8_e4m3fnuz",
    19: "float8_e5m2",
    20: "float8_e5m2fnuz",
    21: "uint4",
    22: "int4",
    23: "float4_e2m1fn",
    24: "float8_e8m0fnu",
    25: "uint2",
    26: "int2",
    27: "float6_e2m3fn",
    28: "float6_e3m2fn",
}.items():
    if hasattr(ml_dtypes, _name):
        DTYPES[_number] = numpy.dtype(getattr(ml_dtypes, _name))
NUMBERS = {dtype: number for number, dtype in DTYPES.items()}
#: ONNX's spelling of types, such as "float".
_NAMES = (
    "float", "uint8", "int8", "uint16", "int16", "int32", "int64", "string", "bool", "float16",
    "double", "uint32", "uint64", "complex64", "complex128", "bfloat16", "float8e4m3fn",
    "float8e4m3fnuz", "float8e5m2", "float8e5m2fnuz", "uint4", "int4", "float4e2m1", "float8e8m0",
    "uint2", "int2", "float6e2m3", "float6e3m2",
)


def _inner(type_text: str, name: str) -> str | None:
    """What stands between the parentheses of `name(…)`."""
    if type_text.startswith(name + "(") and type_text.endswith(")"):
        return type_text[len(name) + 1 : -1]
    return None


class Given:
    """A value for the library, with what it borrows."""

    def __init__(self, handle: Any, *kept: Any) -> None:
        self.handle = handle
        self.kept = kept


def to_library(value: Any, type_text: str | None) -> Given:
    """A value for an input of a type as ONNX spells it; None where that is not known."""
    if isinstance(value, Given):
        return value
    if type_text is not None:
        if (element := _inner(type_text, "optional")) is not None:
            part = None if value is None else to_library(value, element)
            handle = ffi.NULL if part is None else part.handle
            return Given(
                make("sardonyx_value", library.sardonyx_optional, type_text.encode(), handle), part)
        if (element := _inner(type_text, "seq")) is not None:
            if not isinstance(value, (list, tuple)):
                raise Error("mismatch", f"expected a list for {type_text}, got {_kind(value)}")
            parts = [to_library(part, element) for part in value]
            handles = ffi.new("const sardonyx_value *[]", [part.handle for part in parts])
            return Given(
                make(
                    "sardonyx_value", library.sardonyx_sequence, type_text.encode(), handles,
                    len(parts)),
                parts)
        if (types := _inner(type_text, "map")) is not None:
            return _map(value, *types.split(",", 1))
    return _tensor(value, element_type(type_text))


def element_type(type_text: str | None) -> numpy.dtype[Any] | None:
    name = type_text and _inner(type_text, "tensor")
    return DTYPES.get(_NAMES.index(name) + 1) if name in _NAMES else None


def _kind(value: Any) -> str:
    return type(value).__name__


def _map(value: Any, key: str, element: str) -> Given:
    if not isinstance(value, dict):
        raise Error("mismatch", f"expected a dict for map({key},{element}), got {_kind(value)}")
    keys = _tensor(numpy.array(list(value), dtype=element_type(f"tensor({key})")), None)
    elements = _tensor(numpy.array(list(value.values()), dtype=element_type(element)), None)
    return Given(
        make("sardonyx_value", library.sardonyx_map, keys.handle, elements.handle), keys, elements)


def _tensor(value: Any, expected: numpy.dtype[Any] | None) -> Given:
    if value is None:
        raise Error("mismatch", "expected an array, got None")
    try:
        # What is no array yet has no type of its own to insist on.
        array = numpy.asarray(value, dtype=None if hasattr(value, "dtype") else expected)
    except (TypeError, ValueError) as error:
        raise Error("mismatch", f"expected an array: {error}") from None
    extents = ffi.new("int64_t[]", list(array.shape))
    if array.dtype.kind in "OUST":
        texts = Texts([_text(element) for element in array.ravel()])
        return Given(
            make(
                "sardonyx_value", library.sardonyx_tensor_of_strings, extents, array.ndim,
                texts.pointers, texts.lengths, len(texts)))
    number = NUMBERS.get(array.dtype.newbyteorder("="))
    if number is None:
        raise Error("mismatch", f"expected an array of a type that ONNX has, got {array.dtype}")
    # A copy only where the elements do not lie row by row in the machine's byte order.
    array = numpy.require(array, dtype=array.dtype.newbyteorder("="), requirements="C")
    memory = ffi.cast("const void *", array.ctypes.data)
    handle = make(
        "sardonyx_value", library.sardonyx_tensor_borrow, number, extents, array.ndim, memory,
        array.nbytes)
    return Given(handle, array)


def _text(element: Any) -> str | bytes:
    return element if isinstance(element, (str, bytes)) else str(element)


class _Memory:
    """Memory of a value, for numpy; the array keeps this, and this keeps the value."""

    def __init__(self, handle: Any, shape: tuple[int, ...], code: str, address: int) -> None:
        self.handle = handle
        self.__array_interface__ = {
            "version": 3, "shape": shape, "typestr": code, "data": (address, True),
        }


def from_library(handle: Any) -> Any:
    """A value of the library, which owns its handle, for Python."""
    kind = library.sardonyx_value_kind(handle)
    if kind == library.SARDONYX_TENSOR:
        return _array(handle)
    count = library.sardonyx_value_part_count(handle)
    parts = [
        from_library(owned(library.sardonyx_value_part(handle, index), "sardonyx_value"))
        for index in range(count)
    ]
    if kind == library.SARDONYX_SEQUENCE:
        return parts
    if kind == library.SARDONYX_OPTIONAL:
        return parts[0] if parts else None
    keys, elements = parts
    return dict(zip(keys.tolist(), elements.tolist(), strict=True))


def _array(handle: Any) -> numpy.ndarray[Any, Any]:
    extents = library.sardonyx_value_extents(handle)
    shape = tuple(extents[axis] for axis in range(library.sardonyx_value_rank(handle)))
    number = library.sardonyx_value_element_type(handle)
    if number == library.SARDONYX_STRING:
        return _texts(handle, shape)
    dtype = DTYPES.get(number)
    if dtype is None:
        kind = text(library.sardonyx_value_type(handle))
        raise Error("unsupported", f"this version of ml_dtypes has no type for {kind}")
    address = int(ffi.cast("uintptr_t", library.sardonyx_value_elements(handle)))
    if not library.sardonyx_value_byte_count(handle):
        return numpy.empty(shape, dtype)
    # Types of ml_dtypes have no code of their own.
    code = dtype.str if dtype.kind != "V" and number <= 15 else f"<u{dtype.itemsize}"
    array = numpy.asarray(_Memory(handle, shape, code, address))
    return array if array.dtype == dtype else array.view(dtype)


def _texts(handle: Any, shape: tuple[int, ...]) -> numpy.ndarray[Any, Any]:
    array = numpy.empty(shape, dtype=object)
    flat = array.reshape(-1)
    length = ffi.new("size_t *")
    for index in range(flat.size):
        start = library.sardonyx_value_string(handle, index, length)
        flat[index] = ffi.unpack(start, length[0]).decode("utf-8", "replace")
    return array
