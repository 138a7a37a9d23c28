"""Limits the instruction sets that the engines use."""

import pathlib
import subprocess
import sys


def limits(isa, cache):
    """The environments (of Sardonyx, of a peer) that limit them to an instruction set, and whether
    every peer is limited: only OpenVINO has a switch; for all, CPUID is answered by `cpuid.c`, which
    takes Linux on a CPU whose CPUID can fault, and a C compiler."""
    if not isa:
        return {}, {}, True
    peers = {"ONEDNN_MAX_CPU_ISA": {"avx512": "AVX512_CORE", "avx2": "AVX2", "base": "SSE41"}[isa]}
    everyone = isa == "avx512"
    if isa != "avx512" and (library := hiding_library(cache)):
        peers.update(LD_PRELOAD=str(library), BENCHMARK_ISA=isa)
        everyone = True
    return {"SARDONYX_ISA": isa}, peers, everyone


def hiding_library(cache):
    """The compiled `cpuid.c`, or None where it would not work."""
    source, info = pathlib.Path(__file__).with_name("cpuid.c"), pathlib.Path("/proc/cpuinfo")
    if not info.exists() or " cpuid_fault" not in info.read_text():
        return None
    library = cache.resolve() / f"cpuid-{source.stat().st_mtime_ns}.so"
    if not library.exists():
        cache.mkdir(parents=True, exist_ok=True)
        for compiler in ("cc", "clang", "gcc"):
            try:
                subprocess.run([compiler, "-O2", "-shared", "-fPIC", source, "-o", library],
                               check=True)
                break
            except (OSError, subprocess.CalledProcessError) as error:
                print(f"{compiler}: {error}", file=sys.stderr)
    return library if library.exists() else None
