"""Every public name says what it takes, gives, raises, where it comes from, and shows it in an example that runs.

(The examples run as doctests.)
"""

import dataclasses
import inspect
import re
import types
import typing
from pathlib import Path

import pytest

import admodes

PACKAGE = Path(admodes.__file__).parent
SECTIONS = ("Parameters", "Returns", "Raises")


def exported():
    """(name, object) of what a user can import from `admodes` and from the modules that it exports."""
    for name in admodes.__all__:
        thing = getattr(admodes, name)
        if inspect.ismodule(thing):
            if thing not in (admodes.ops, admodes.errors):  # the table; the errors stand in __all__ themselves
                for module in [thing, *(getattr(thing, m) for m in getattr(thing, "MODULES", ()) if "." not in m)]:
                    yield from ((f"{name}.{n}", x) for n, x in public(module))
        else:
            yield name, thing


def public(module):
    """The functions and classes that a module defines for others."""
    names = getattr(module, "__all__", [n for n in vars(module) if not n.startswith("_")])
    things = [(n, getattr(module, n)) for n in names]
    kinds = (type, types.FunctionType)
    return [(n, x) for n, x in things if isinstance(x, kinds) and (x.__module__ or "").startswith(module.__name__)]


EXPORTED = {thing: name for name, thing in reversed(list(exported())) if not inspect.ismodule(thing)}
FUNCTIONS = {name: x for x, name in EXPORTED.items() if not inspect.isclass(x)}
ERRORS = {name: x for x, name in EXPORTED.items() if inspect.isclass(x) and issubclass(x, Exception)}
CLASSES = {name: x for x, name in EXPORTED.items() if inspect.isclass(x) and name not in ERRORS}
METHODS = {
    f"{name}.{method}": getattr(kind, method)
    for name, kind in CLASSES.items()
    for method in dir(kind)
    if not method.startswith("_") and inspect.isfunction(getattr(kind, method))
    and getattr(kind, method).__module__.startswith("admodes")
}  # fmt: skip


def section(thing, title):
    """The text under an underlined title of a docstring, "" where there is none."""
    text = inspect.getdoc(thing) or ""
    found = re.search(rf"^{title}\n-+\n(.*?)(?=\n\n|\Z)", text, re.DOTALL | re.MULTILINE)
    return found[1] if found else ""


def described(text):
    """The names before a colon, at the start of a line: `f, x : …`."""
    heads = re.findall(r"^(\*{0,2}\w+(?:, \*{0,2}\w+)*) :", text, re.MULTILINE)
    return {name.strip("*") for head in heads for name in head.split(", ")}


def parameters(function):
    return [p for p in inspect.signature(function).parameters.values() if p.name != "self"]


def literals(annotation):
    """The words of the `Literal` types in an annotation."""
    if typing.get_origin(annotation) is typing.Literal:
        yield from typing.get_args(annotation)
    for part in typing.get_args(annotation):
        yield from literals(part)


def words(function, parameter):
    """The words that a parameter may be, by its annotation."""
    text = parameter.annotation
    return list(literals(eval(text, vars(inspect.getmodule(function))) if isinstance(text, str) else text))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_says_everything(name):
    function = FUNCTIONS[name]
    doc = inspect.getdoc(function) or ""
    assert doc.partition("\n\n")[0].endswith((".", ")")), "a summary, then an empty line"
    missing = {p.name for p in parameters(function)} - described(section(function, "Parameters"))
    assert not missing, f"parameters without a word: {missing}"
    assert section(function, "Returns") or inspect.signature(function).return_annotation == "None"
    raises = "raise " in inspect.getsource(inspect.unwrap(function)) or "." not in name
    assert not raises or section(function, "Raises"), "no section Raises"
    assert re.search(r"^Source: .{20}", doc, re.MULTILINE), "no source: author, title, section"
    assert ">>> " in doc, "no example"


@pytest.mark.parametrize("name", ERRORS)
def test_an_error_says_when_and_shows_it(name):
    doc = inspect.getdoc(ERRORS[name]) or ""
    assert len(doc.partition("\n")[0]) > 20
    assert ">>> " in doc, "no example"


@pytest.mark.parametrize("name", CLASSES)
def test_a_class_says_what_it_holds(name):
    kind = CLASSES[name]
    doc = inspect.getdoc(kind) or ""
    assert ">>> " in doc, "no example"
    assert re.search(r"^Source: .{20}", doc, re.MULTILINE), "no source: author, title, section"
    if dataclasses.is_dataclass(kind):
        fields = {field.name for field in dataclasses.fields(kind)}
    else:
        fields = {p.name for p in parameters(kind)}
    missing = {f for f in fields if not f.startswith("_")} - described(doc)
    assert not missing, f"fields without a word: {missing}"
    properties = {n: getattr(kind, n) for n in dir(kind) if not n.startswith("_")}
    bare = [n for n, p in properties.items() if isinstance(p, property) and not p.__doc__]
    assert not bare, f"properties without a word: {bare}"


@pytest.mark.parametrize("name", METHODS)
def test_a_method_says_what_it_takes(name):
    method = METHODS[name]
    doc = inspect.getdoc(method) or ""
    assert len(doc) > 20
    missing = [p.name for p in parameters(method) if not re.search(rf"\b{p.name}\b", doc)]
    assert not missing, f"parameters without a word: {missing}"


@pytest.mark.parametrize("name", [*FUNCTIONS, *METHODS])
def test_a_choice_of_words_is_typed_and_explained(name):
    """`mode`, `method`, `order` name their words in a Literal type, and the docstring each of them."""
    function = {**FUNCTIONS, **METHODS}[name]
    doc = inspect.getdoc(function) or ""
    for parameter in parameters(function):
        if isinstance(parameter.default, str):
            assert words(function, parameter), f"{parameter.name} is a word, its type {parameter.annotation} no Literal"
        elsewhere = re.search(rf"\b{parameter.name}\b[^:\n]* :[^\n]*\bas (in|for) `", doc)
        for word in () if elsewhere else words(function, parameter):
            assert not isinstance(word, str) or f'"{word}"' in doc, f"{parameter.name}={word!r} is not explained"


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_sources_are_named(path):
    """A reader knows authors and titles, not the numbers that lectures have in somebody's folder."""
    assert not re.search(r"\bseeds? (lecture )?\d", path.read_text(encoding="utf-8"))


def test_the_reading_of_docstrings():
    """The reader itself sees what is there, and that a thing is missing."""

    def f(a, b, *rest, mode="x"):
        """A summary.

        Parameters
        ----------
        a, b : two.
        *rest : the rest, of which
            more : is said here.

        Returns
        -------
        nothing
        """

    assert described(section(f, "Parameters")) == {"a", "b", "rest"}
    assert section(f, "Returns") == "nothing"
    assert not section(f, "Raises")
    assert set(literals(typing.Literal["u", "v"] | None)) == {"u", "v"}
