"""Builds the library for C by tools/install and puts it into the package.

SARDONYX_PREFIX names a folder that tools/install has filled, to be used instead of a build.
"""

import os
import pathlib
import re
import shutil
import subprocess

from setuptools import Distribution, setup
from setuptools.command.build_py import build_py
from wheel.bdist_wheel import bdist_wheel

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent


def version() -> str:
    text = (ROOT / "Sources/Sardonyx/Build.swift").read_text()
    return re.search(r'version = "([^"]+)"', text)[1]


class BuildWithLibrary(build_py):
    def run(self):
        super().run()
        prefix = os.environ.get("SARDONYX_PREFIX") or str(ROOT / ".build/c/installed")
        if "SARDONYX_PREFIX" not in os.environ:
            subprocess.check_call([ROOT / "tools/install", "--prefix", prefix, "--library"])
        target = pathlib.Path(self.build_lib, "sardonyx")
        target.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(f"{prefix}/include/sardonyx.h", target / "sardonyx.h")
        shutil.copyfile(f"{prefix}/lib/libsardonyx.so", target / "libsardonyx.so")


class WheelOfPlatform(bdist_wheel):
    """Any Python 3, this machine's kind alone."""

    def get_tag(self):
        return "py3", "none", super().get_tag()[2]


class DistributionOfPlatform(Distribution):
    """With a library in it, though with no extension module of Python's."""

    def has_ext_modules(self):
        return True


MADE = ROOT / ".build/python-package"
MADE.mkdir(parents=True, exist_ok=True)
setup(
    version=version(),
    distclass=DistributionOfPlatform,
    options={"build": {"build_base": str(MADE)}, "egg_info": {"egg_base": str(MADE)}},
    cmdclass={"build_py": BuildWithLibrary, "bdist_wheel": WheelOfPlatform},
)
