"""The ufuncs of scipy.special: the table of derivatives of DLMF and Abramowitz & Stegun, loaded with scipy.special.

Partials are closed forms in functions that have rows themselves, so they may be differentiated again.  An argument by
which no closed form is known (an order, a number of degrees of freedom) is UNKNOWN: differentiating by it raises.
Where a closed form cancels (x near 0, x large) a series takes its place, chosen by np.where on safe arguments.

A ufunc that the installed SciPy does not have is left out.  Some public functions are thin wrappings of ufuncs with a
leading underscore (zeta, lambertw, spherical_jn …): these have rows too.
"""

from . import (
    bessel,
    distributions,
    elementary,
    elliptic,
    equations,
    error_function,
    gamma,
    hypergeometric,
    others,
    rows,
)

__all__ = [
    "bessel",
    "distributions",
    "elementary",
    "elliptic",
    "equations",
    "error_function",
    "gamma",
    "hypergeometric",
    "others",
    "rows",
]
