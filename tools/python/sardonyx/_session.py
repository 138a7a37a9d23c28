"""Sessions, with the names that onnxruntime's Python package has for the same things."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy

from ._library import Error, Texts, ffi, library, make, new, check, open_model, owned, structure, text
from ._values import Given, from_library, to_library

PROVIDER = "CPUExecutionProvider"
_MODES = ("folded", "unfolded", "batch")


def get_available_providers() -> list[str]:
    """What can compute: the CPU."""
    return [PROVIDER]


class NodeArg:
    """An input or output of a model."""

    def __init__(self, description: Any) -> None:
        #: Its name.
        self.name: str = text(description.name) or ""
        #: As ONNX spells it, such as "tensor(float)"; "" where the file does not say.
        self.type: str = text(description.type) or ""
        #: Per axis an extent, the name that stands for it, or None; [] also where no rank is declared.
        self.shape: list[int | str | None] = [
            description.extents[axis]
            if description.extents[axis] >= 0
            else text(description.symbols[axis])
            for axis in range(max(0, description.rank))
        ]
        #: Whether it may be left out of the feeds.
        self.has_default: bool = bool(description.has_default)

    def __repr__(self) -> str:
        return f"NodeArg(name={self.name!r}, type={self.type!r}, shape={self.shape})"


class ModelMetadata:
    """What a file says of its model."""

    def __init__(self, model: Any) -> None:
        information = structure("sardonyx_information")
        library.sardonyx_model_information(model, information)
        #: The tool that wrote the file.
        self.producer_name: str = text(information.producer_name) or ""
        #: The tool's version.
        self.producer_version: str = text(information.producer_version) or ""
        #: The model's namespace.
        self.domain: str = text(information.domain) or ""
        #: What the author says of the model.
        self.description: str = text(information.documentation) or ""
        #: The graph's name.
        self.graph_name: str = text(information.graph_name) or ""
        #: What the author says of the graph.
        self.graph_description: str = text(information.graph_documentation) or ""
        #: The model's own version.
        self.version: int = information.model_version
        #: The version of the file format.
        self.ir_version: int = information.ir_version
        #: Further remarks by key.
        self.custom_metadata_map: dict[str, str] = {}
        key, remark = ffi.new("const char **"), ffi.new("const char **")
        for index in range(library.sardonyx_model_metadata_count(model)):
            library.sardonyx_model_metadata(model, index, key, remark)
            self.custom_metadata_map[text(key[0]) or ""] = text(remark[0]) or ""
        #: Operator-set version by domain; "" is ONNX's own.
        self.operator_sets: dict[str, int] = {}
        number = ffi.new("int64_t *")
        for index in range(library.sardonyx_model_operator_set_count(model)):
            library.sardonyx_model_operator_set(model, index, key, number)
            self.operator_sets[text(key[0]) or ""] = number[0]


class SessionOptions:
    """How to prepare and run a model.

    Attributes that onnxruntime has and that mean nothing here may be set: they change how fast
    onnxruntime computes, or what it logs, not what.
    """

    _WITHOUT_MEANING = frozenset({
        "enable_cpu_mem_arena", "enable_mem_pattern", "enable_mem_reuse", "execution_mode",
        "execution_order", "graph_optimization_level", "inter_op_num_threads", "log_severity_level",
        "log_verbosity_level", "logid",
    })

    def __init__(
        self,
        *,
        threads: int = 0,
        batch_normalization: str = "folded",
        time_limit: float = 0,
        memory_limit: int = 0,
        seed: int = 0,
        taps: Sequence[str] = (),
        winograd: bool = True,
    ) -> None:
        #: Threads of a run; 0 for as many as affinity, cgroup quota and cores allow.
        self.threads = threads
        #: "folded" into weights, "unfolded" as written, or with the statistics of the "batch".
        self.batch_normalization = batch_normalization
        #: Seconds after which a run ends with an `Error` of code "limit"; 0 for never.
        self.time_limit = time_limit
        #: Bytes that a run may hold at a time; 0 for what the machine has.
        self.memory_limit = memory_limit
        #: For random operators that state none.
        self.seed = seed
        #: Values inside the graph that are to be outputs as well.
        self.taps = list(taps)
        #: Whether convolutions may be computed by Winograd's algorithm.
        self.winograd = winograd

    _NAMES = frozenset({
        "threads", "batch_normalization", "time_limit", "memory_limit", "seed", "taps", "winograd",
    })

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "intra_op_num_threads":
            name = "threads"
        if name not in self._NAMES and name not in self._WITHOUT_MEANING:
            raise AttributeError(f"SessionOptions has no {name!r}; it has {sorted(self._NAMES)}")
        super().__setattr__(name, value)

    @property
    def intra_op_num_threads(self) -> int:
        """`threads`."""
        return self.threads

    def structure(self) -> tuple[Any, Any]:
        """For the library, and what it borrows."""
        if self.batch_normalization not in _MODES:
            raise Error(
                "mismatch",
                f"batch_normalization: expected one of {', '.join(_MODES)}, got "
                f"{self.batch_normalization}")
        taps = Texts(self.taps)
        made = structure(
            "sardonyx_session_options", threads=self.threads,
            batch_normalization=_MODES.index(self.batch_normalization), time_limit=self.time_limit,
            memory_limit=self.memory_limit, seed=self.seed, taps=taps.pointers,
            tap_count=len(taps), without_winograd=not self.winograd)
        return made, taps


class Cancellation:
    """Ends runs from another thread."""

    def __init__(self) -> None:
        self.handle = owned(library.sardonyx_cancellation_create(), "sardonyx_cancellation")

    def cancel(self) -> None:
        """Ends the runs that were given this soon, and those that will be at once."""
        library.sardonyx_cancellation_cancel(self.handle)


class InferenceSession:
    """A model prepared for running; runs may overlap on any number of threads."""

    def __init__(
        self,
        path_or_bytes: str | os.PathLike[str] | bytes,
        sess_options: SessionOptions | None = None,
        providers: Sequence[Any] | None = None,
        provider_options: Sequence[Any] | None = None,
        **options: Any,
    ) -> None:
        """Loads and prepares a model.

        `options` are those of `SessionOptions`, which is left out then. `providers` may be given as to onnxruntime
        as long as the CPU is among them.
        """
        if sess_options is not None and options:
            raise TypeError(f"sess_options and {', '.join(options)}: expected either")
        names = [provider if isinstance(provider, str) else provider[0] for provider in providers or []]
        if names and PROVIDER not in names:
            raise ValueError(f"providers: expected {PROVIDER} among them, got {names}")
        self._model = open_model(path_or_bytes)
        given, kept = (sess_options or SessionOptions(**options)).structure()
        self._handle = make(
            "sardonyx_session", library.sardonyx_session_create, self._model, given)
        del kept
        self._taps = list((sess_options.taps if sess_options else options.get("taps")) or [])
        self._inputs = _descriptions(self._model, "input")
        self._outputs = _descriptions(self._model, "output")
        self._types = {value.name: value.type or None for value in self._inputs}

    def get_inputs(self) -> list[NodeArg]:
        """The inputs that have no default, in the file's order."""
        return [value for value in self._inputs if not value.has_default]

    def get_overridable_initializers(self) -> list[NodeArg]:
        """The inputs that have a default and may be left out of the feeds."""
        return [value for value in self._inputs if value.has_default]

    def get_outputs(self) -> list[NodeArg]:
        """The outputs, in the file's order."""
        return list(self._outputs)

    def get_modelmeta(self) -> ModelMetadata:
        """What the file says of the model."""
        return ModelMetadata(self._model)

    def get_providers(self) -> list[str]:
        """What computes: the CPU."""
        return [PROVIDER]

    @property
    def threads(self) -> int:
        """Threads of a run."""
        return int(library.sardonyx_session_threads(self._handle))

    @property
    def notes(self) -> list[dict[str, Any]]:
        """What passes did to the model and declined to do."""
        return notes(make("sardonyx_notes", library.sardonyx_session_notes, self._handle))

    def run(
        self,
        output_names: Sequence[str] | None,
        input_feed: Mapping[str, Any],
        run_options: Any = None,
        *,
        out: Mapping[str, numpy.ndarray[Any, Any]] | None = None,
        cancellation: Cancellation | None = None,
    ) -> list[Any]:
        """Runs the model.

        :param output_names: outputs or taps; None for the model's outputs, then the taps.
        :param input_feed: by name: arrays, which are read where they are, lists for sequences, dictionaries for
            maps, None for an empty optional.
        :param run_options: for scripts written for onnxruntime; None.
        :param out: by output name, an array that the output is to be written to.
        :param cancellation: ends the run from another thread.
        :return: read-only arrays (those of `out` where given), lists, dictionaries and None, in the order of the
            names.
        :raises Error: as the command would tell it.
        """
        if run_options is not None:
            raise TypeError("run_options: expected None")
        if isinstance(output_names, str):
            raise TypeError(f"output_names: expected a list of names, got {output_names!r}")
        if not isinstance(input_feed, Mapping):
            raise TypeError(f"input_feed: expected values by name, got {type(input_feed).__name__}")
        if output_names is None:
            wanted = [output.name for output in self._outputs]
            wanted += [tap for tap in self._taps if tap not in wanted]
        else:
            wanted = list(output_names)
        names = Texts(list(input_feed))
        given = [self._given(name, value) for name, value in input_feed.items()]
        handles = ffi.new("const sardonyx_value *[]", [value.handle for value in given])
        outputs = Texts(wanted)
        results = ffi.new("sardonyx_value *[]", len(wanted))
        options, kept = _run_options(wanted, out or {}, cancellation)
        error = new("sardonyx_error")
        code = library.sardonyx_session_run(
            self._handle, names.pointers, handles, len(given), outputs.pointers, len(wanted), results,
            options, error)
        check(code, error)
        made = [owned(result, "sardonyx_value") for result in results]
        del kept
        values = [from_library(value) for value in made]
        for index, name in enumerate(wanted):
            if out and name in out:
                _check_fit(name, out[name], values[index])
                values[index] = out[name]
        return values

    def _given(self, name: str, value: Any) -> Given:
        try:
            return to_library(value, self._types.get(name))
        except Error as error:
            raise Error(error.code, f"input \"{name}\": {error.message}", error.hint) from None


def _check_fit(name: str, array: numpy.ndarray[Any, Any], value: Any) -> None:
    if array.dtype != value.dtype or array.shape != value.shape:
        raise Error(
            "mismatch",
            f"out[\"{name}\"]: expected {value.dtype}{list(value.shape)}, got "
            f"{array.dtype}{list(array.shape)}")


def _run_options(
    wanted: list[str], out: Mapping[str, numpy.ndarray[Any, Any]], cancellation: Cancellation | None
) -> tuple[Any, Any]:
    if not out and cancellation is None:
        return ffi.NULL, None
    for name, array in out.items():
        if name not in wanted:
            raise Error("mismatch", f"out: expected outputs asked for, got \"{name}\"")
        if not (array.flags.c_contiguous and array.flags.writeable):
            raise Error(
                "mismatch", f"out[\"{name}\"]: expected a writable array that lies row by row")
    arrays = [out.get(name) for name in wanted]
    memory = ffi.new(
        "void *[]",
        [ffi.NULL if array is None else ffi.cast("void *", array.ctypes.data) for array in arrays])
    sizes = ffi.new("size_t[]", [0 if array is None else array.nbytes for array in arrays])
    made = structure(
        "sardonyx_run_options", output_memory=memory, output_byte_counts=sizes,
        cancellation=ffi.NULL if cancellation is None else cancellation.handle)
    return made, (memory, sizes, arrays, cancellation)


def _descriptions(model: Any, kind: str) -> list[NodeArg]:
    made = []
    count = getattr(library, f"sardonyx_model_{kind}_count")(model)
    for index in range(count):
        description = structure("sardonyx_description")
        getattr(library, f"sardonyx_model_{kind}")(model, index, description)
        made.append(NodeArg(description))
    return made


def notes(handle: Any) -> list[dict[str, Any]]:
    """Notes of the library as plain data."""
    made = []
    for index in range(library.sardonyx_notes_count(handle)):
        note = structure("sardonyx_note")
        library.sardonyx_notes_note(handle, index, note)
        made.append({
            "pass": text(getattr(note, "pass")),
            "node": text(note.node),
            "text": text(note.text),
            "done": bool(note.is_done),
        })
    return made
