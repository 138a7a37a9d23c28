"""What each engine needs of a model: its own file formats, kept in a cache, and the inputs."""

import importlib.metadata
import importlib.util
import pathlib
import subprocess
import sys
import zlib

import numpy as np

from benchmark.processes import EngineFailure


def read_inputs(model, dims, folder):
    """The archive of a model's inputs: NAME.npz beside it, else noise written to `folder`."""
    recorded = model.with_suffix(".npz")
    if recorded.exists():
        return recorded
    made = pathlib.Path(folder, f"{model.stem}.npz")
    np.savez(made, **make_inputs(model, dims))
    return made


def make_inputs(model, dims):
    """An array for each input: noise, or zeros where integers are wanted; open dimensions are 1
    unless `dims` has them by name."""
    import onnxruntime
    noise, inputs = np.random.default_rng(0), {}
    for value in onnxruntime.InferenceSession(model).get_inputs():
        shape = [dim if isinstance(dim, int) else dims.get(dim, 1) for dim in value.shape]
        name = value.type.removeprefix("tensor(").removesuffix(")")
        kind = np.dtype({"float": "float32", "double": "float64"}.get(name, name))
        array = noise.standard_normal(shape) if kind.kind == "f" else np.zeros(shape)
        inputs[f"in:{value.name}"] = array.astype(kind)
    return inputs


def output_names(model):
    """The names of a model's outputs, in order."""
    import onnx
    return [value.name for value in onnx.load(model, load_external_data=False).graph.output]


def files_for(engine, model, inputs, cache):
    """The files that an engine opens, by kind. Raises `EngineFailure` if it cannot convert."""
    files = {"onnx": str(model)}
    if engine == "MNN":
        files["mnn"] = converted(model, cache, "mnn", "mnn", convert_to_mnn)
    if engine == "ncnn":
        with np.load(inputs) as arrays:
            shapes = [(arrays[name].dtype, arrays[name].shape) for name in arrays.files
                      if name.startswith("in:")]
        key = f"ncnn-{zlib.crc32(str(shapes).encode()):08x}"
        param = converted(model, cache, key, "pnnx",
                          lambda source, target: convert_to_ncnn(source, target, shapes))
        files.update(param=param, bin=param + ".bin")
    return files


def converted(model, cache, kind, package, convert):
    """The path of a converted model, from the cache if it is of this very file and package."""
    cache.mkdir(parents=True, exist_ok=True)
    state = model.stat()
    version = importlib.metadata.version(package)
    target = cache / f"{model.stem}-{state.st_size}-{state.st_mtime_ns}-{version}.{kind}"
    failure = target.with_name(target.name + ".failed")
    if failure.exists():
        raise EngineFailure(failure.read_text())
    if not target.exists():
        try:
            convert(model, target)
        except (subprocess.TimeoutExpired, OSError) as error:
            failure.write_text(f"not converted: {error}"[:200])
        if not target.exists() and not failure.exists():
            failure.write_text("not converted")
        if failure.exists():
            raise EngineFailure(failure.read_text())
    return str(target)


def convert_to_mnn(source, target):
    """By MNN's native converter; its Python wrapper installs packages and reports what it did."""
    partial = target.with_name(target.name + ".partial")
    arguments = ["mnnconvert", "-f", "ONNX", "--modelFile", str(source), "--MNNModel", str(partial),
                 "--bizCode", "none"]
    call([sys.executable, "-c", f"import _tools; _tools.mnnconvert({arguments!r})"])
    if partial.exists():
        partial.rename(target)


def convert_to_ncnn(source, target, shapes):
    """By pnnx, in float32, for exactly these shapes; weights go to a file beside, named .bin."""
    # Not imported, because that imports PyTorch.
    pnnx = pathlib.Path(importlib.util.find_spec("pnnx").origin).with_name("pnnx")
    letters = {"float32": "f32", "float64": "f64", "float16": "f16", "int32": "i32", "int64": "i64",
               "int16": "i16", "int8": "i8", "uint8": "u8", "bool": "i8"}
    described = ",".join("[" + ",".join(map(str, shape)) + "]" + letters.get(str(kind), str(kind))
                         for kind, shape in shapes)
    work = target.with_name(target.name + ".work")
    work.mkdir(exist_ok=True)
    link = work / "model.onnx"
    link.unlink(missing_ok=True)
    link.symlink_to(source.resolve())
    call([pnnx, str(link), f"inputshape={described}", "fp16=0"])
    made = work / "model.ncnn.bin"
    if made.exists():
        made.rename(f"{target}.bin")
        (work / "model.ncnn.param").rename(target)
    for file in work.iterdir():
        file.unlink()
    work.rmdir()


def call(command):
    """Runs a converter and hides what it says; it failed if it left no file."""
    subprocess.run(command, timeout=600, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
