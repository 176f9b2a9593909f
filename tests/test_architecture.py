"""The house rules that no single module can break alone: arrows, imports, equation tags."""

import ast
import io
import re
import subprocess
import sys
import tokenize
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("tinynn", "lessons", "benchmarks")

# A room imports from its own floor and from those below. A new module gets its place here.
FLOORS = (
    {"backend"},
    {"validation", "files", "plotting", "results", "recording"},
    {"linalg", "nn", "metrics", "estimator", "preprocessing", "probability"},
    {
        "optim",
        "data",
        "datasets",
        "training",
        "training_step",
        "fused",
        "loops",
        "epochs",
        "divergence",
        "callbacks",
        "checkpoint",
        "gradcheck",
        "autodiff",
    },
    {"model_selection", "decomposition", "linear_model", "kernels", "molecules", "graphs"},
)
FLOOR = {f"tinynn.{room}": level for level, rooms in enumerate(FLOORS) for room in rooms}
FLOOR |= {"tinynn": -1, "lessons": len(FLOORS), "benchmarks": len(FLOORS)}

REQUIRED = {"numpy", "scipy", "safetensors", "tqdm", *sys.stdlib_module_names}
OPTIONAL = {
    "ase",
    "cupy",
    "cupyx",
    "jax",
    "matplotlib",
    "pooch",
    "rdkit",
    "sklearn",
    "thinc",
    "threadpoolctl",
    "torch",
}


def module_name(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {module_name(path): path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))}


def room(module):
    return ".".join(module.split(".")[: 2 if module.startswith("tinynn.") else 1])


def imports(source):
    """(imported module, whether inside a function, line) for every import in the source."""

    def walk(node, inside):
        for child in ast.iter_child_nodes(node):
            names = []
            if isinstance(child, ast.Import):
                names = [alias.name for alias in child.names]
            elif isinstance(child, ast.ImportFrom):
                source = "." * child.level + (child.module or "")
                inner = [f"{source}.{alias.name}" for alias in child.names]
                names = [name if name in FILES or name.endswith("*") else source for name in inner]
            yield from ((name, inside, child.lineno) for name in dict.fromkeys(names))
            yield from walk(
                child, inside or isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
            )

    return list(walk(ast.parse(source), False))


IMPORTS = {module: imports(path.read_text()) for module, path in FILES.items()}


def test_every_room_has_a_floor():
    homeless = {room(module) for module in FILES} - FLOOR.keys()
    assert not homeless, f"say in FLOORS where {homeless} belongs"


def test_arrows_point_down():
    wrong = [
        f"{module} imports {name} (line {line})"
        for module, found in IMPORTS.items()
        for name, _, line in found
        if room(name) in FLOOR and FLOOR[room(name)] > FLOOR[room(module)]
    ]
    assert not wrong


def test_lessons_and_benchmarks_are_roofs():
    for module, found in IMPORTS.items():
        packages = {name.split(".")[0] for name, *_ in found} & {"lessons", "benchmarks", "tests"}
        assert packages <= {module.split(".")[0]}, module


def test_imports_name_what_they_import():
    """No star, and no dots that mean another module in every folder."""
    wrong = [
        f"{module} imports {name} (line {line})"
        for module, found in IMPORTS.items()
        for name, _, line in found
        if name.endswith("*") or name.startswith(".")
    ]
    assert not wrong


def test_no_cycles():
    TopologicalSorter(
        {
            module: [name for name, *_ in found if name != module and name in FILES]
            for module, found in IMPORTS.items()
        }
    ).prepare()  # raises CycleError, which names the cycle


def test_imports_inside_functions_are_optional_libraries():
    wrong = [
        f"{module} imports {name} (line {line})"
        for module, found in IMPORTS.items()
        for name, inside, line in found
        if inside and name.split(".")[0] not in OPTIONAL and name != "tinynn.plotting"
    ]
    assert not wrong


def test_modules_load_only_what_is_installed_with_tinynn():
    wrong = [
        f"{module} imports {name} (line {line})"
        for module, found in IMPORTS.items()
        for name, inside, line in found
        if module.startswith("tinynn") and not inside and name.split(".")[0] not in REQUIRED | {"tinynn"}
    ]
    assert not wrong


def test_the_reader_of_imports_reads():
    source = """\
import a.b
def f():
    from torch import nn, optim
from tinynn import nn, metrics
from tinynn.nn import Dense
from numpy import *
from . import nn
"""
    assert imports(source) == [
        ("a.b", False, 1),
        ("torch", True, 3),
        ("tinynn.nn", False, 4),
        ("tinynn.metrics", False, 4),
        ("tinynn.nn", False, 5),
        ("numpy.*", False, 6),
        (".", False, 7),
    ]


def fresh_interpreter(code):
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout


@pytest.mark.parametrize("modules", ["tinynn", "tinynn.nn, tinynn.training"])
def test_import_is_quick(modules):
    code = f"from time import process_time as t; start = t(); import {modules}; print(t() - start)"
    times = []
    while len(times) < 6 and min(times, default=1) > 0.3:
        times.append(float(fresh_interpreter(code)))
    assert min(times) < 0.3


def test_import_loads_no_optional_library():
    modules = [module for module in FILES if module.startswith("tinynn")]
    loaded = fresh_interpreter(f"import sys\nimport {', '.join(modules)}\nprint(*sys.modules)").split()
    assert "tinynn.training" in loaded
    assert not {name.split(".")[0] for name in loaded} & OPTIONAL


# Equation tags: "# S4 (34)" on the line that computes it; S0 to S3 number sections too: "# S0 1.4"

TAG = re.compile(r"\bS4 (?:BP[1-4]|L_Q|L_CE)\b|\bS[0-4] \(\d+(?:\.\d+)?\)|\bS[0-3] \d+(?:\.\d+)*")
MENTION = re.compile(r"\bS[0-9]\b(?! ?=)")
LARGEST = {"S2": 2, "S4": 52}  # the last equation of the two seeds that number theirs throughout

CORE = {
    "S4 (16)": "gradient descent",
    "S4 (18)": "penalty",
    "S4 (26)": "sigmoid",
    "S4 (27)": "its derivative",
    "S4 (32)": "binary cross-entropy",
    "S4 (34)": "its gradient",
    "S4 (36)": "hinge",
    "S4 (49)": "forward pass",
    "S4 BP1": "gradient at the output",
    "S4 BP2": "passed on to the layer below",
    "S4 BP3": "with respect to the weights",
    "S4 BP4": "with respect to the bias",
    "S4 L_Q": "quadratic loss",
    "S4 L_CE": "cross-entropy",
}


def comments(source):
    """(line number, comment, whether it stands behind code) for every comment."""
    lines = source.splitlines()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            yield row, token.string, bool(lines[row - 1][:column].strip())


def malformed(comment):
    """Whether a comment mentions a seed in a way that is no tag."""
    found = TAG.findall(comment)
    beyond = [tag for tag in found if "(" in tag and float(tag[4:-1]) > LARGEST.get(tag[:2], 1000)]
    return len(MENTION.findall(comment)) != len(found) or bool(beyond)


COMMENTS = [
    (f"{module}, line {row}", comment, behind_code)
    for module, path in FILES.items()
    if module.startswith("tinynn")
    for row, comment, behind_code in comments(path.read_text())
]


def test_tags_are_well_formed():
    assert not [f"{place}: {comment}" for place, comment, _ in COMMENTS if malformed(comment)]


def test_the_core_carries_its_tags():
    tags = {tag for _, comment, behind_code in COMMENTS if behind_code for tag in TAG.findall(comment)}
    assert not CORE.keys() - tags


def test_the_reader_of_tags_reads():
    assert TAG.findall("# a, b      S4 (34), S4 BP2; S3 (14.1), S0 1.4, S3 10.1 and S4 L_CE") == [
        "S4 (34)",
        "S4 BP2",
        "S3 (14.1)",
        "S0 1.4",
        "S3 10.1",
        "S4 L_CE",
    ]
    for good in ("# z = W a + b      S4 (49)", "# no seed", "# S2 (2)", "# LJS4 (3)"):
        assert not malformed(good), good
    for bad in (
        "# S4(34)",
        "# S4 34)",
        "# S5 (3)",
        "# S4 BP5",
        "# S4 eq. (3)",
        "# S4 (53)",
        "# S2 (3)",
        "# S4",
    ):
        assert malformed(bad), bad
    code = "x = 1  # S4 (1)\n# S4 (2)\ny = '# S4 (3)'\n"
    assert list(comments(code)) == [(1, "# S4 (1)", True), (2, "# S4 (2)", False)]
