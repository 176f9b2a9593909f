"""CUDA kernels on machines without a GPU: g++ compiles their text, and threads of the host run it.

``monkeypatch.setattr(np, "RawKernel", ..., raising=False)`` makes NumPy a library that compiles kernels, as
CuPy is one.
"""

import ctypes
import shutil
import subprocess
from pathlib import Path

import numpy as np

from tinynn.loops import PRELUDE

COMPILER = shutil.which("g++")
THREADS = 3  # of a block: no power of two, so that they do not happen to meet
PROCESSES = 2


def compile_kernels(texts, folder, *options):
    """A function launch(blocks, threads, arguments) for every text."""
    parts = [texts[i::PROCESSES] for i in range(PROCESSES)]
    running = []
    for number, part in enumerate(parts):
        source, library = folder / f"kernels{number}.cpp", folder / f"kernels{number}.so"
        lines = [f'#include "{Path(__file__).with_suffix(".h")}"\n', PRELUDE]
        for i, text in enumerate(part):
            lines.append(text.removeprefix(PRELUDE).replace(" steps(", f" kernel{i}("))
            lines.append(f'extern "C" void launch{i}(int blocks, int threads, void** arguments) {{\n')
            lines.append(f"    run(blocks, threads, kernel{i}, arguments);\n}}\n")
        source.write_text("".join(lines))
        command = [COMPILER, "-std=c++17", "-O0", "-fPIC", "-shared", "-pthread", *options]
        running.append((subprocess.Popen([*command, str(source), "-o", str(library)]), library, part))
    found = {}
    for process, library, part in running:
        assert process.wait() == 0
        functions = ctypes.CDLL(str(library))
        found |= {text: functions[f"launch{i}"] for i, text in enumerate(part)}
    return found


class Collecting:
    """Stands for RawKernel where nothing but the texts is wanted."""

    def __init__(self, texts):
        self.texts = texts

    def __call__(self, text, name):
        self.texts.setdefault(text)
        return lambda grid, block, arguments: None


class Compiled:
    """Stands for RawKernel, with kernels that `compile_kernels` has compiled."""

    def __init__(self, kernels):
        self.kernels, self.launches = kernels, 0

    def __call__(self, text, name):
        def launch(grid, block, arguments):
            self.launches += 1
            values = [
                ctypes.c_void_p(x.ctypes.data) if isinstance(x, np.ndarray) else ctypes.c_int(x)
                for x in arguments
            ]
            pointers = (ctypes.c_void_p * len(values))(*map(ctypes.addressof, values))
            self.kernels[text](*grid, THREADS, pointers)

        return launch
