"""The library for C, by cffi in ABI mode: sardonyx.h tells cffi what it has."""

from __future__ import annotations

import os
import pathlib
import re
from collections.abc import Sequence
from typing import Any

import cffi

_HERE = pathlib.Path(__file__).parent


def _declarations(header: str) -> str:
    """The header without what only a preprocessor understands."""
    header = re.sub(r"#ifdef __cplusplus.*?#endif", "", header, flags=re.S)
    return re.sub(r"^\s*#.*$", "", header, flags=re.M)


ffi: Any = cffi.FFI()
ffi.cdef(_declarations((_HERE / "sardonyx.h").read_text(encoding="utf-8")))
library: Any = ffi.dlopen(os.environ.get("SARDONYX_LIBRARY") or str(_HERE / "libsardonyx.so"))


class Error(Exception):
    """What went wrong with a file, a model or a value, in the words of the command."""

    #: Such as "mismatch".
    code: str
    #: The fact, with what was expected and what was found.
    message: str
    #: What can be done about it, where that is known.
    hint: str | None
    #: The node, its operator, and the types and shapes of its inputs.
    node: str | None
    #: The file the fault lies in.
    file: str | None

    CODES = (
        "ok", "unreadable", "malformed", "unsupported", "invalid", "mismatch", "limit", "cancelled",
    )

    def __init__(
        self,
        code: str,
        message: str,
        hint: str | None = None,
        node: str | None = None,
        file: str | None = None,
        description: str | None = None,
    ) -> None:
        super().__init__(description or message)
        self.code, self.message, self.hint = code, message, hint
        self.node, self.file = node, file


def text(pointer: Any) -> str | None:
    """A text of the library's; None for NULL."""
    return None if pointer == ffi.NULL else ffi.string(pointer).decode("utf-8", "replace")


def version() -> str:
    """The library's version."""
    return text(library.sardonyx_version()) or ""


def has_feature(name: str) -> bool:
    """Whether the library was built with a feature: "images" for the operator ImageDecoder."""
    return bool(library.sardonyx_has_feature(name.encode()))


def new(type_name: str) -> Any:
    """A place for a handle of this type."""
    return ffi.new(f"{type_name} *[1]")


def owned(handle: Any, type_name: str) -> Any:
    """A handle that is released with its last reference."""
    return ffi.gc(handle, getattr(library, f"{type_name}_release"))


def check(code: int, error: Any) -> None:
    """Raises what a call has reported."""
    if code == 0:
        return
    handle = owned(error[0], "sardonyx_error")
    raise Error(
        Error.CODES[code] if code < len(Error.CODES) else str(code),
        text(library.sardonyx_error_message(handle)) or "",
        text(library.sardonyx_error_hint(handle)),
        text(library.sardonyx_error_node(handle)),
        text(library.sardonyx_error_file(handle)),
        text(library.sardonyx_error_description(handle)),
    )


def make(type_name: str, function: Any, *arguments: Any) -> Any:
    """Calls a function whose last arguments are places for a new handle and for an error."""
    place, error = new(type_name), new("sardonyx_error")
    check(function(*arguments, place, error), error)
    return owned(place[0], type_name)


def structure(type_name: str, **members: Any) -> Any:
    """A structure that knows its size."""
    made = ffi.new(f"{type_name} *", members)
    made.size = ffi.sizeof(type_name)
    return made


class Texts:
    """An array of C texts, kept alive."""

    def __init__(self, texts: Sequence[str | bytes]) -> None:
        encoded = [text.encode("utf-8") if isinstance(text, str) else text for text in texts]
        self.lengths = ffi.new("size_t[]", [len(text) for text in encoded])
        self._kept = [ffi.new("char[]", text) for text in encoded]
        self.pointers = ffi.new("const char *[]", self._kept)

    def __len__(self) -> int:
        return len(self._kept)


def open_model(path_or_bytes: str | os.PathLike[str] | bytes) -> Any:
    """A handle of a model, from its file or the bytes of its file."""
    if isinstance(path_or_bytes, (bytes, bytearray, memoryview)):
        view = ffi.from_buffer(path_or_bytes)
        return make(
            "sardonyx_model", library.sardonyx_model_open_bytes, view, len(view), ffi.NULL)
    return make("sardonyx_model", library.sardonyx_model_open, os.fsencode(path_or_bytes))
