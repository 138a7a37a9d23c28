"""Compares outputs, and prints what was measured."""

import datetime
import math
import os
import pathlib
import platform
import statistics

import numpy as np


def difference(outputs, reference):
    """How far outputs are from the reference: the largest difference over the largest magnitude,
    output by output; of integers and strings the share of elements that differ; infinity where
    shapes do not match."""
    if len(outputs) != len(reference):
        return math.inf
    return max((one_difference(*pair) for pair in zip(outputs, reference)), default=0.0)


def one_difference(array, reference):
    if array.size != reference.size:
        return math.inf
    array = array.reshape(reference.shape)
    if reference.size == 0:
        return 0.0
    if reference.dtype.kind != "f":
        return float(np.mean(array != reference))
    array, reference = array.astype(np.float64), reference.astype(np.float64)
    if not np.array_equal(np.isfinite(array), np.isfinite(reference)):
        return math.inf
    finite = np.isfinite(reference)
    if not finite.any():
        return 0.0
    largest = np.abs(array[finite] - reference[finite]).max()
    return float(largest / max(np.abs(reference[finite]).max(), np.finfo(np.float32).tiny))


def summary(turns, check):
    """One engine's figures: the least and median times of all rounds, milliseconds and bytes."""
    firsts = [turn["first"] for turn in turns if "first" in turn]
    memory = [turn["memory"] for turn in turns + [check] if "memory" in turn]
    return {"min": min(turn["min"] for turn in turns),
            "median": statistics.median(turn["median"] for turn in turns),
            "first": min(firsts), "memory": min(memory)}


def best_peer(engines):
    """The name of the fastest peer among those that answered rightly, or None."""
    times = {name: figures["min"] for name, figures in engines.items()
             if name != "Sardonyx" and "min" in figures and not figures.get("wrong")}
    return min(times, key=times.get, default=None)


def ratio(engines):
    """The best peer's least time over ours; None where either is missing or ours is wrong."""
    best, ours = best_peer(engines), engines.get("Sardonyx", {})
    if best is None or "min" not in ours or ours.get("wrong"):
        return None
    return engines[best]["min"] / ours["min"]


def print_details(row):
    """One model at one number of threads, an engine a line."""
    threads = row["threads"]
    print(f"\n{row['model']}, {threads} {'thread' if threads == 1 else 'threads'}, "
          f"{row['rounds']} rounds of {row['runs']} runs")
    print(f"  {'engine':<12} {'min ms':>9} {'median':>9} {'/ ours':>6} {'first ms':>9} "
          f"{'MiB':>7} {'difference':>10}")
    ours = row["engines"].get("Sardonyx", {}).get("min")
    for name, figures in row["engines"].items():
        if "failure" in figures:
            print(f"  {name:<12} {figures['failure']}")
            continue
        share = f"{figures['min'] / ours:.2f}" if ours else "-"
        apart = "-" if figures["difference"] is None else f"{figures['difference']:.1e}"
        wrong = "  WRONG" if figures.get("wrong") else ""
        print(f"  {name:<12} {figures['min']:9.3f} {figures['median']:9.3f} {share:>6} "
              f"{figures['first']:9.2f} {figures['memory'] / 2**20:7.1f} "
              f"{apart:>10}{wrong}", flush=True)


def cell(figures, digits=None):
    """A table's cell: the least time, and a mark where the engine failed or was wrong."""
    if "min" not in figures:
        return "failed"
    digits = digits or (1 if figures["min"] >= 10 else 2 if figures["min"] >= 1 else 3)
    return f"{figures['min']:.{digits}f}" + (" (wrong)" if figures.get("wrong") else "")


def markdown(rows, machine):
    """The table for a page: a model a line, the thread counts side by side in a cell."""
    counts = sorted({row["threads"] for row in rows})
    names = [name for name in rows[0]["engines"] if name != "Sardonyx"]
    heads = ["model", *names, "Sardonyx", "best peer ÷ ours", "first result, ours ÷ onnxruntime",
             "peak memory, ours ÷ onnxruntime"]
    lines = [machine["text"], "", "| " + " | ".join(heads) + " |",
             "| --- |" + " ---: |" * (len(heads) - 1)]
    for model in dict.fromkeys(row["model"] for row in rows):
        found = {row["threads"]: row["engines"] for row in rows if row["model"] == model}
        engines = [found.get(count, {}) for count in counts]
        columns = [joined(cell(each.get(name, {})) for each in engines)
                   for name in [*names, "Sardonyx"]]
        columns.append(joined(f"{value:.2f}" if (value := ratio(each)) else "–"
                              for each in engines))
        columns += [joined(against_onnxruntime(each, key) for each in engines)
                    for key in ("first", "memory")]
        lines.append("| " + " | ".join([model, *columns]) + " |")
    return "\n".join(lines)


def joined(cells):
    """Cells of the thread counts in one; once where they are the same, as for a failure."""
    cells = list(cells)
    return cells[0] if len(set(cells)) == 1 else " / ".join(cells)


def against_onnxruntime(engines, key):
    ours, theirs = engines.get("Sardonyx", {}), engines.get("onnxruntime", {})
    if not ours.get(key) or not theirs.get(key):
        return "–"
    return f"{ours[key] / theirs[key]:.2f}"


def machine(isa, everyone, counts, versions, command):
    """The conditions of a measurement: date, CPU, instruction set, versions, command."""
    file = pathlib.Path("/proc/cpuinfo")
    info = file.read_text().splitlines() if file.exists() else []
    names = [line.split(":", 1)[1].strip() for line in info if line.startswith("model name")]
    flags = next((line.split() for line in info if line.startswith("flags")), [])
    found = next((name for name, flag in [("avx512", "avx512f"), ("avx2", "avx2")]
                  if flag in flags), "base")
    date = datetime.datetime.now(datetime.timezone.utc).date().isoformat()
    peers = ", ".join(f"{name} {version}" for name, version in versions.items())
    who = "all engines" if everyone else "Sardonyx and OpenVINO alone"
    instructions = f"{isa} of {found}, to which {who} were limited" if isa else found
    cpu = f"{names[0] if names else platform.processor()}, {os.cpu_count()} cores"
    threads = " / ".join(map(str, counts))
    text = (f"{date}, {cpu}, {instructions}; {peers}; milliseconds, minimum, "
            f"{threads} {'thread' if threads == '1' else 'threads'}:\n\n    {command}")
    return {"date": date, "cpu": cpu, "isa": isa or found, "peers": versions, "command": command,
            "text": text}


def print_all(rows):
    """What is slower than onnxruntime, the worst first, the geometric mean of all, and what failed
    or differs; a wrong result counts by its time, so that it is not lost."""
    ratios, remarks = [], []
    for row in rows:
        engines, threads = row["engines"], row["threads"]
        name = f"{row['model']}, {threads} {'thread' if threads == 1 else 'threads'}"
        ours, theirs = engines["Sardonyx"], engines["onnxruntime"]
        remarks += [f"not run by {engine}: {name}: {figures['failure']}"
                    for engine, figures in engines.items() if "failure" in figures]
        if ours.get("wrong"):
            remarks.append(f"differs by {ours['difference']:.1e}: {name}")
        if "min" in ours and "min" in theirs:
            ratios.append((theirs["min"] / ours["min"], name))
    slower = sorted(pair for pair in ratios if pair[0] < 1)
    print(f"\nslower than onnxruntime: {len(slower)} of {len(ratios)}")
    print("\n".join(f"  {value:.2f}  {name}" for value, name in slower))
    if ratios:
        mean = math.exp(statistics.fmean(math.log(value) for value, _ in ratios))
        print(f"geometric mean: {mean:.3f}")
    print("\n".join(remarks))
