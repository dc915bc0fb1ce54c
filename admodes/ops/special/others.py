"""Derivative zero, and functions of which no derivative is known by any argument."""

from __future__ import annotations

from ...core.registry import Passive, Refused, add
from .rows import ufunc

PASSIVE = ("gammasgn", "round")
REFUSED = (
    "bdtrik", "bdtrin", "btdtria", "btdtrib", "chdtriv", "chndtridf", "elliprj", "fdtridfd", "gdtrib", "mathieu_a",
    "mathieu_b", "nbdtrik", "nbdtrin", "ncfdtridfd", "ncfdtridfn", "nctdtridf", "nctdtrinc", "obl_cv", "pdtrik",
    "pro_cv", "smirnov", "smirnovi", "stdtridf", "zetac", "_riemann_zeta",
)  # fmt: skip

for _name in PASSIVE:
    add(Passive(ufunc(_name), zero=True))
for _name in REFUSED:
    if ufunc(_name) is not None:
        add(Refused(ufunc(_name), "no derivative in closed form is known by any of its arguments"))

if ufunc("sph_harm") is not None:  # of SciPy before 1.17
    add(Refused(ufunc("sph_harm"), "SciPy gives it up: write it with np.exp and scipy.special.lpmv"))
