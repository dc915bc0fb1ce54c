"""The README's Python runs as it stands, one block after the other, and prints what stands there."""

import re
from pathlib import Path

import numpy as np
import pytest

import admodes as ad

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)


def session(block):
    """The statements behind the prompts, and what is shown below them."""
    lines = [line for line in block.splitlines() if line]
    typed = [line[4:] for line in lines if line.startswith((">>> ", "... "))]
    return "\n".join(typed), [line for line in lines if not line.startswith((">>> ", "... "))]


def test_the_readme(capsys, tmp_path, monkeypatch, steady_clock):
    monkeypatch.chdir(tmp_path)  # where its examples write
    rng = np.random.default_rng(0)
    # What the blocks take from their reader: a square matrix, directions, and a scalar function.
    names = {"W": rng.normal(size=(3, 3)), "v": rng.normal(size=3), "u": rng.normal(size=3)}
    names["energy"] = lambda x: np.sum(x**4)
    sessions = 0
    for block in BLOCKS:
        if not block.startswith(">>> "):
            exec(block, names)
            assert not capsys.readouterr().out, f"prints what the README does not show:\n{block}"
            continue
        code, shown = session(block)
        exec(code, names)
        printed = [line.rstrip() for line in capsys.readouterr().out.splitlines() if line.strip()]
        assert printed == [line.rstrip() for line in shown]
        sessions += 1
    assert sessions == 6


def test_what_the_readme_links_to_is_there():
    links = [link for link in re.findall(r"\]\(([^)]+)\)", README) if not link.startswith("https://")]
    assert len(links) >= 14
    for link in links:
        assert (ROOT / link).exists(), link


def test_every_experiment_is_in_the_readme():
    for name in (path.stem for path in (ROOT / "experiments").glob("*.py") if "\ndef run(study" in path.read_text()):
        assert f"**{name}**" in README, name
        assert f"(figures/{name}.png)" in README, name


def numbers(text):
    return [float(number.replace(",", "")) for number in re.findall(r"\d[\d,]*(?:\.\d+)?", text)]


def test_the_findings_are_those_of_the_committed_figures():
    """To 30 %: what is counted is the same in every run, what the clock gave is not."""
    page = (ROOT / "figures" / "README.md").read_text(encoding="utf-8")
    sections = {part.partition("\n")[0]: part for part in re.split(r"^## ", page, flags=re.M)[1:]}
    findings = dict(re.findall(r"^\*\*(\w+)\*\*(.*?)\n\n", README, flags=re.M | re.S))
    assert findings.keys() == sections.keys()
    for name, finding in findings.items():
        found = numbers(sections[name])
        for number in numbers(finding):
            assert any(number / 1.3 <= other <= number * 1.3 for other in found), f"{name}: {number}"


def squares(x, a):
    x[0] = x[1] ** 2
    x += 1.0
    a += 1.0
    return np.sum(a * x**3)


def test_what_is_said_of_arguments_changed_in_place(steady_clock):
    """f = Σ (a + 1)·z³ with z = (x₁² + 1, x₁ + 1, x₂ + 1)."""
    x, a = np.array([1.0, 2.0, 3.0]), np.zeros(3)
    gradient = 3 * np.array([0.0, 5.0**2 * 4 + 3.0**2, 4.0**2])
    ways = [ad.grad, ad.jacfwd, ad.jacrev, lambda f: lambda *args: ad.compile(ad.grad(f))(*args)]
    for way in ways:
        np.testing.assert_allclose(way(squares)(x, a), gradient)
    assert ad.trace(squares, x, a)(x, a) == 5.0**3 + 3.0**3 + 4.0**3
    ad.cost(squares, x, a)
    ad.jacobian(squares).plan(x, a)
    np.testing.assert_array_equal([x, a], [[1.0, 2.0, 3.0], [0.0, 0.0, 0.0]])
    with pytest.raises(ad.Detached):
        ad.grad(lambda x, a: a.__setitem__(0, x[0]) or np.sum(a))(x, a)
    with pytest.raises(ValueError, match="in place"):
        ad.compare(squares, x, a)
    np.testing.assert_array_equal([x, a], [[1.0, 2.0, 3.0], [0.0, 0.0, 0.0]])
    with pytest.warns(UserWarning, match="squares changes an argument"):
        assert ad.compile(squares)(x, a) == 5.0**3 + 3.0**3 + 4.0**3
    np.testing.assert_array_equal([x, a], [[5.0, 3.0, 4.0], [1.0, 1.0, 1.0]])
