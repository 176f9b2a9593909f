"""Everything public says what it does; an inherited docstring counts."""

import importlib
import inspect
import pkgutil
import re

import pytest

import tinynn

MODULES = ["tinynn"] + [info.name for info in pkgutil.walk_packages(tinynn.__path__, "tinynn.")]


def public_objects(module):
    """(name, object) for the module, its public functions and classes, and their public methods."""
    yield module.__name__, module
    for name, x in vars(module).items():
        if name.startswith("_") or getattr(x, "__module__", None) != module.__name__:
            continue
        if inspect.isfunction(x) or inspect.isclass(x):
            yield f"{module.__name__}.{name}", x
        if inspect.isclass(x):
            for method, value in vars(x).items():
                described = inspect.isroutine(value) or isinstance(
                    value, (property, classmethod, staticmethod)
                )
                if described and (not method.startswith("_") or method == "__call__"):
                    yield f"{module.__name__}.{name}.{method}", getattr(x, method)


@pytest.mark.parametrize("name", MODULES)
def test_everything_public_has_a_docstring(name):
    module = importlib.import_module(name)
    python = {None, "", "Call self as a function."}  # the last is what object says for __call__
    assert not [label for label, x in public_objects(module) if inspect.getdoc(x) in python]


def test_the_search_finds_methods():
    found = dict(public_objects(importlib.import_module("tinynn.nn.sequential")))
    assert "tinynn.nn.sequential.Sequential.predict" in found
    assert "tinynn.nn.sequential.Sequential.theta" in found  # a property
    assert not any("check_array" in name for name in found)  # imported, described where it is defined


@pytest.mark.parametrize("name", MODULES)
def test_documented_parameters_exist(name):
    """What a docstring describes under Parameters is in the signature."""
    for label, x in public_objects(importlib.import_module(name)):
        docstring = inspect.getdoc(x) if x.__doc__ else ""
        section = re.search(r"^Parameters\n-+\n(.*?)(\n\w+\n---|\Z)", docstring, re.DOTALL | re.MULTILINE)
        if section and callable(x):
            lines = [line for line in section[1].splitlines() if re.match(r"[\w*][\w*, ]*( : |$)", line)]
            described = {name.strip("* ") for line in lines for name in line.split(" : ")[0].split(",")}
            assert described <= set(inspect.signature(x).parameters), label
