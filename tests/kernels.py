"""Kernels as people write them in plain NumPy: they allocate, fill, change in place; none knows of derivatives.

Stencils, factorisations, statistics, networks and physics in the manner of the suites that measure NumPy (PolyBench,
NPBench), written anew.  KERNELS: name -> (function, its arguments).
"""

import numpy as np
from numpy import empty_like, zeros

rng = np.random.default_rng(20)


def array(*shape, low=-1.0, high=1.0):
    return rng.uniform(low, high, shape)


def spd(n):
    """A symmetric positive definite matrix, well conditioned."""
    a = array(n, n)
    return a @ a.T + n * np.eye(n)


# Stencils ------------------------------------------------------------------------------------------------


def jacobi_1d(steps, a, b):
    a, b = np.copy(a), np.copy(b)
    for _ in range(steps):
        b[1:-1] = (a[:-2] + a[1:-1] + a[2:]) / 3
        a[1:-1] = (b[:-2] + b[1:-1] + b[2:]) / 3
    return a, b


def jacobi_2d(steps, a):
    a = a.copy()
    b = np.zeros_like(a)
    b[:] = a
    for _ in range(steps):
        b[1:-1, 1:-1] = 0.2 * (a[1:-1, 1:-1] + a[:-2, 1:-1] + a[2:, 1:-1] + a[1:-1, :-2] + a[1:-1, 2:])
        a, b = b, a
    return a


def heat_3d(steps, u, rate):
    old, new = np.array(u), np.empty(u.shape)
    new[...] = old
    inner = (slice(1, -1),) * 3
    for _ in range(steps):
        flux = np.zeros(tuple(n - 2 for n in u.shape))
        for axis in range(3):
            ahead = tuple(slice(2, None) if k == axis else slice(1, -1) for k in range(3))
            behind = tuple(slice(None, -2) if k == axis else slice(1, -1) for k in range(3))
            flux += old[ahead] - 2 * old[inner] + old[behind]
        new[inner] = old[inner] + rate * flux
        old[:] = new
    return new


def seidel_2d(steps, a):
    a = np.array(a)
    n, m = a.shape
    for _ in range(steps):
        for i in range(1, n - 1):
            for j in range(1, m - 1):
                a[i, j] = a[i - 1 : i + 2, j - 1 : j + 2].sum() / 9.0
    return a


def fdtd_2d(ex, ey, hz, pulse):
    ex, ey, hz = ex.copy(), ey.copy(), hz.copy()
    for t in range(len(pulse)):
        ey[0, :] = pulse[t]
        ey[1:, :] -= 0.5 * (hz[1:, :] - hz[:-1, :])
        ex[:, 1:] -= 0.5 * (hz[:, 1:] - hz[:, :-1])
        hz[:-1, :-1] -= 0.7 * (ex[:-1, 1:] - ex[:-1, :-1] + ey[1:, :-1] - ey[:-1, :-1])
    return ex, ey, hz


def adi(steps, u):
    """Alternating directions: tridiagonal sweeps along the rows, then along the columns."""
    n = u.shape[0]
    u, v = np.copy(u), np.zeros((n, n))
    p, q = np.zeros((n, n)), np.empty((n, n))
    a, b = 0.3, 1.7
    for _ in range(steps):
        for target, source in ((v, u), (u, v)):
            target[0, 1:-1] = 1.0
            p[1:-1, 0] = 0.0
            q[1:-1, 0] = target[0, 1:-1]
            for j in range(1, n - 1):
                p[1:-1, j] = a / (b - a * p[1:-1, j - 1])
                q[1:-1, j] = (source[j, :-2] + 0.4 * source[j, 1:-1] + source[j, 2:] + a * q[1:-1, j - 1]) / (
                    b - a * p[1:-1, j - 1]
                )
            target[n - 1, 1:-1] = 1.0
            for j in range(n - 2, 0, -1):
                target[j, 1:-1] = p[1:-1, j] * target[j + 1, 1:-1] + q[1:-1, j]
    return u


def limited_diffusion(field, strength):
    """Horizontal diffusion with a limiter, level by level."""
    lap = 4.0 * field[1:-1, 1:-1] - (field[2:, 1:-1] + field[:-2, 1:-1] + field[1:-1, 2:] + field[1:-1, :-2])
    fx = lap[1:, 1:-1] - lap[:-1, 1:-1]
    fx = np.where(fx * (field[2:-1, 2:-2] - field[1:-2, 2:-2]) > 0, 0.0, fx)
    fy = lap[1:-1, 1:] - lap[1:-1, :-1]
    fy = np.where(fy * (field[2:-2, 2:-1] - field[2:-2, 1:-2]) > 0, 0.0, fy)
    out = np.zeros_like(field)
    out[2:-2, 2:-2] = field[2:-2, 2:-2] - strength * (fx[1:] - fx[:-1] + fy[:, 1:] - fy[:, :-1])
    return out


def vertical_advection(speed, wind, tendency):
    """Thomas' algorithm along the last axis, with columns kept for the way back."""
    ni, nk = speed.shape
    c = np.ndarray((ni, nk), dtype=speed.dtype)
    d = np.ndarray((ni, nk), dtype=speed.dtype)
    for k in range(nk):
        below = 0.25 * wind[:, k]
        above = 0.25 * wind[:, k + 1]
        if k == 0:
            diagonal = 1.5 - above
            c[:, k] = above / diagonal
            d[:, k] = (speed[:, k] + tendency[:, k]) / diagonal
        else:
            diagonal = 1.5 + below - above - c[:, k - 1] * below
            c[:, k] = above / diagonal
            d[:, k] = (speed[:, k] + tendency[:, k] - d[:, k - 1] * below) / diagonal
    out = np.empty_like(speed)
    out[:, -1] = d[:, -1]
    for k in range(nk - 2, -1, -1):
        out[:, k] = d[:, k] - c[:, k] * out[:, k + 1]
    return out


# Fluids --------------------------------------------------------------------------------------------------


def _pressure(p, b, sweeps, periodic=False):
    for _ in range(sweeps):
        old = p.copy()
        p[1:-1, 1:-1] = 0.25 * (old[1:-1, 2:] + old[1:-1, :-2] + old[2:, 1:-1] + old[:-2, 1:-1] - b[1:-1, 1:-1])
        if periodic:
            p[1:-1, -1] = 0.25 * (old[1:-1, 0] + old[1:-1, -2] + old[2:, -1] + old[:-2, -1] - b[1:-1, -1])
            p[1:-1, 0] = 0.25 * (old[1:-1, 1] + old[1:-1, -1] + old[2:, 0] + old[:-2, 0] - b[1:-1, 0])
        else:
            p[:, -1] = p[:, -2]
            p[:, 0] = p[:, 1]
        p[0, :] = p[1, :]
        p[-1, :] = 0.0
    return p


def cavity_flow(u, v, p, viscosity):
    u, v, p = np.copy(u), np.copy(v), np.copy(p)
    b = np.zeros(p.shape)
    for _ in range(2):
        b[1:-1, 1:-1] = u[1:-1, 2:] - u[1:-1, :-2] + (v[2:, 1:-1] - v[:-2, 1:-1]) ** 2
        p = _pressure(p, b, 2)
        un, vn = u.copy(), v.copy()
        for w, wn, along in ((u, un, p[1:-1, 2:] - p[1:-1, :-2]), (v, vn, p[2:, 1:-1] - p[:-2, 1:-1])):
            w[1:-1, 1:-1] = (
                wn[1:-1, 1:-1]
                - 0.1 * un[1:-1, 1:-1] * (wn[1:-1, 1:-1] - wn[1:-1, :-2])
                - 0.1 * vn[1:-1, 1:-1] * (wn[1:-1, 1:-1] - wn[:-2, 1:-1])
                - 0.05 * along
                + viscosity * (wn[1:-1, 2:] + wn[2:, 1:-1] - 4 * wn[1:-1, 1:-1] + wn[1:-1, :-2] + wn[:-2, 1:-1])
            )
        u[0, :] = u[:, 0] = u[:, -1] = 0
        u[-1, :] = 1
        v[0, :] = v[-1, :] = v[:, 0] = v[:, -1] = 0
    return u, v, p


def channel_flow(u, p, force):
    """Periodic along the second axis; runs until the flow changes little, or ten times."""
    u, p = u.copy(), p.copy()
    b = np.zeros_like(p)
    change, count = 1.0, 0
    while change > 0.02 and count < 4:
        un = np.array(u)
        b[1:-1, 1:-1] = un[1:-1, 2:] - un[1:-1, :-2]
        b[1:-1, 0] = un[1:-1, 1] - un[1:-1, -1]
        b[1:-1, -1] = un[1:-1, 0] - un[1:-1, -2]
        p = _pressure(p, b, 2, periodic=True)
        u[1:-1, 1:-1] = un[1:-1, 1:-1] + 0.1 * (un[2:, 1:-1] - 2 * un[1:-1, 1:-1] + un[:-2, 1:-1]) + force
        u[1:-1, 1:-1] -= 0.05 * (p[1:-1, 2:] - p[1:-1, :-2])
        u[1:-1, -1] = un[1:-1, -1] + 0.1 * (un[2:, -1] - un[:-2, -1]) + force
        u[1:-1, 0] = un[1:-1, 0] + 0.1 * (un[2:, 0] - un[:-2, 0]) + force
        u[0, :] = 0
        u[-1, :] = 0
        change = (np.sum(u) - np.sum(un)) / np.sum(u)
        count += 1
    return u, p


# Factorisations and triangular systems -----------------------------------------------------------------------


def cholesky(a):
    a = np.array(a)
    n = a.shape[0]
    a[0, 0] = np.sqrt(a[0, 0])
    for i in range(1, n):
        for j in range(i):
            a[i, j] -= np.dot(a[i, :j], a[j, :j])
            a[i, j] /= a[j, j]
        a[i, i] -= np.dot(a[i, :i], a[i, :i])
        a[i, i] = np.sqrt(a[i, i])
    return np.tril(a)


def lu(a):
    a = a.copy()
    n = a.shape[0]
    for k in range(n):
        for i in range(k + 1, n):
            a[i, k] /= a[k, k]
            a[i, k + 1 :] -= a[i, k] * a[k, k + 1 :]
    return a


def ludcmp(a, b):
    factors = lu(a)
    n = len(b)
    x, y = np.zeros_like(b), np.zeros_like(b)
    for i in range(n):
        y[i] = b[i] - factors[i, :i] @ y[:i]
    for i in range(n - 1, -1, -1):
        x[i] = (y[i] - factors[i, i + 1 :] @ x[i + 1 :]) / factors[i, i]
    return x, y


def trisolv(l, b):
    x = np.empty(len(b))
    for i in range(len(b)):
        x[i] = (b[i] - l[i, :i] @ x[:i]) / l[i, i]
    return x


def durbin(r):
    n = len(r)
    y = empty_like(r)
    alpha, beta = -r[0], 1.0
    y[0] = -r[0]
    for k in range(1, n):
        beta *= 1.0 - alpha * alpha
        alpha = -(r[k] + np.dot(np.flip(r[:k]), y[:k])) / beta
        y[:k] += alpha * np.flip(y[:k])
        y[k] = alpha
    return y


def gramschmidt(a):
    a = np.copy(a)
    m, n = a.shape
    q, r = zeros((m, n)), zeros((n, n))
    for k in range(n):
        r[k, k] = np.sqrt(np.dot(a[:, k], a[:, k]))
        q[:, k] = a[:, k] / r[k, k]
        for j in range(k + 1, n):
            r[k, j] = np.dot(q[:, k], a[:, j])
            a[:, j] -= q[:, k] * r[k, j]
    return q, r


# Matrix and vector products, in place ---------------------------------------------------------------------------


def gemver(alpha, beta, a, u, v, x, y):
    a, x = a + np.outer(u, v), np.array(x)
    x += beta * y @ a
    w = np.zeros(len(u))
    w += alpha * a @ x
    return a, x, w


def gesummv(alpha, beta, a, b, x):
    out = np.full(len(x), 0.0)
    out[:] = alpha * a @ x
    out += beta * b @ x
    return out


def atax(a, x):
    y, t = np.zeros(a.shape[1]), np.zeros(a.shape[0])
    for i in range(a.shape[0]):
        t[i] = np.dot(a[i], x)
        y += a[i] * t[i]
    return y


def bicg(a, p, r):
    s, q = np.zeros(a.shape[1]), np.zeros(a.shape[0])
    for i in range(a.shape[0]):
        s[:] = s + r[i] * a[i, :]
        q[i] = q[i] + a[i, :] @ p
    return s, q


def mvt(x, z, p, q, a):
    x, z = x.copy(), z.copy()
    x += a @ p
    z += q @ a
    return x, z


def symm(alpha, beta, c, a, b):
    c = c.copy()
    c *= beta
    t = np.empty(c.shape[1])
    for i in range(c.shape[0]):
        for j in range(c.shape[1]):
            c[:i, j] += alpha * b[i, j] * a[i, :i]
            t[j] = b[:i, j] @ a[i, :i]
        c[i, :] += alpha * b[i, :] * a[i, i] + alpha * t
    return c


def syr2k(alpha, beta, c, a, b):
    c = np.array(c)
    for i in range(a.shape[0]):
        c[i, : i + 1] *= beta
        for k in range(a.shape[1]):
            c[i, : i + 1] += a[: i + 1, k] * alpha * b[i, k] + b[: i + 1, k] * alpha * a[i, k]
    return c


def trmm(alpha, a, b):
    b = b.copy()
    for i in range(b.shape[0]):
        for j in range(b.shape[1]):
            b[i, j] += np.dot(a[i + 1 :, i], b[i + 1 :, j])
    b *= alpha
    return b


def doitgen(a, c):
    a = np.copy(a)
    for r in range(a.shape[0]):
        a[r, :, :] = np.reshape(np.reshape(a[r], (a.shape[1], 1, -1)) @ c, (a.shape[1], -1))
    return a


def chain_of_products(a, b, c):
    out = np.empty((a.shape[0], c.shape[1]))
    np.matmul(a @ b, c, out=out)
    out[0] *= 2.0
    return out


# Statistics and data --------------------------------------------------------------------------------------------


def covariance(data):
    m = data.shape[1]
    data = data - np.mean(data, axis=0)
    cov = np.zeros((m, m))
    for i in range(m):
        cov[i:, i] = cov[i, i:] = data[:, i] @ data[:, i:] / (data.shape[0] - 1.0)
    return cov


def correlation(data):
    n, m = data.shape
    mean, deviation = np.mean(data, axis=0), np.std(data, axis=0)
    deviation[deviation <= 0.1] = 1.0
    data = (data - mean) / (np.sqrt(n) * deviation)
    corr = np.eye(m)
    for i in range(m - 1):
        corr[i + 1 :, i] = corr[i, i + 1 :] = data[:, i] @ data[:, i + 1 :]
    return corr


def azimuthal_integral(data, radius, bins):
    edges = np.linspace(0.0, 1.0, bins + 1)
    out = np.zeros(bins)
    for i in range(bins):
        inside = np.logical_and(edges[i] <= radius, radius < edges[i + 1])
        out[i] = data[inside].mean() if inside.any() else 0.0
    return out


def arc_distance(theta, phi, theta2, phi2):
    t = np.sin((theta2 - theta) / 2) ** 2 + np.cos(theta) * np.cos(theta2) * np.sin((phi2 - phi) / 2) ** 2
    out = np.empty(len(theta))
    out[:] = 2 * np.arctan2(np.sqrt(t), np.sqrt(1 - t))
    return out


def clipped_sum(a, b, p, q, r):
    return np.clip(a, -0.5, 0.5) * p + b * q + r


def spmv(rows, columns, values, x):
    y = np.empty(len(rows) - 1, values.dtype)
    for i in range(len(rows) - 1):
        part = columns[rows[i] : rows[i + 1]]
        y[i] = values[rows[i] : rows[i + 1]] @ x[part]
    return y


def shortest_paths(path):
    path = np.array(path)
    for k in range(path.shape[0]):
        path[:] = np.minimum(path[:], np.add.outer(path[:, k], path[k, :]))
    return path


def go_fast(a):
    trace = 0.0
    for i in range(a.shape[0]):
        trace += np.tanh(a[i, i])
    return a + trace


def deriche(alpha, image):
    """A recursive filter along the rows, forth and back."""
    k = (1 - np.exp(-alpha)) ** 2 / (1 + 2 * alpha * np.exp(-alpha) - np.exp(2 * -alpha))
    a1, a2 = k, k * np.exp(-alpha) * (alpha - 1.0)
    b1, b2 = 2.0**-alpha, -np.exp(-2.0 * alpha)
    y, z = empty_like(image), empty_like(image)
    y[:, 0] = a1 * image[:, 0]
    y[:, 1] = a1 * image[:, 1] + a2 * image[:, 0] + b1 * y[:, 0]
    for j in range(2, image.shape[1]):
        y[:, j] = a1 * image[:, j] + a2 * image[:, j - 1] + b1 * y[:, j - 1] + b2 * y[:, j - 2]
    z[:, -1] = 0.0
    z[:, -2] = a1 * image[:, -1]
    for j in range(image.shape[1] - 3, -1, -1):
        z[:, j] = a1 * image[:, j + 1] + a2 * image[:, j + 2] + b1 * z[:, j + 1] + b2 * z[:, j + 2]
    return y + z


# Networks -------------------------------------------------------------------------------------------------------


def softmax(x):
    e = np.exp(x - np.max(x, axis=-1, keepdims=True))
    return e / np.sum(e, axis=-1, keepdims=True)


def mlp(x, w1, b1, w2, b2):
    hidden = np.maximum(x @ w1 + b1, 0)
    return softmax(hidden @ w2 + b2)


def conv2d(image, weights, bias):
    k, outputs = weights.shape[0], weights.shape[3]
    n, height, width = image.shape[0], image.shape[1] - k + 1, image.shape[2] - k + 1
    out = np.empty((n, height, width, outputs))
    for i in range(height):
        for j in range(width):
            out[:, i, j, :] = np.sum(
                image[:, i : i + k, j : j + k, :, np.newaxis] * weights[np.newaxis], axis=(1, 2, 3)
            )
    return np.maximum(out + bias, 0)


def batchnorm_residual(x, w):
    padded = np.zeros((x.shape[0] + 2, x.shape[1]))
    padded[1:-1] = x
    y = padded[:-2] * w[0] + padded[1:-1] * w[1] + padded[2:] * w[2]
    y = (y - np.mean(y, axis=0, keepdims=True)) / np.sqrt(np.std(y, axis=0, keepdims=True) + 1e-5)
    return np.maximum(y + x, 0)


def maxpool(x):
    out = np.empty((x.shape[0] // 2, x.shape[1] // 2))
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            out[i, j] = np.max(x[2 * i : 2 * i + 2, 2 * j : 2 * j + 2])
    return out


# Physics --------------------------------------------------------------------------------------------------------


def nbody(mass, position, velocity, g):
    position, velocity = position.copy(), velocity.copy()

    def acceleration(at):
        x, y = at[:, 0:1], at[:, 1:2]
        dx, dy = x.T - x, y.T - y
        inverse = dx**2 + dy**2 + 0.3**2
        inverse[inverse > 0] = inverse[inverse > 0] ** (-1.5)
        return np.hstack((g * (dx * inverse) @ mass, g * (dy * inverse) @ mass))

    velocity -= np.mean(mass * velocity, 0) / np.mean(mass)
    a = acceleration(position)
    kinetic = np.ndarray(4, dtype=np.float64)
    kinetic[0] = 0.5 * np.sum(mass * velocity**2)
    for step in range(3):
        velocity += a * 0.05
        position += velocity * 0.1
        a = acceleration(position)
        velocity += a * 0.05
        kinetic[step + 1] = 0.5 * np.sum(mass * velocity**2)
    return kinetic, position


def self_energies(neighbours, dh, green, phonons):
    sigma = np.zeros_like(green)
    for energy in range(green.shape[0]):
        for a in range(neighbours.shape[0]):
            for k in range(neighbours.shape[1]):
                f = green[energy, neighbours[a, k]]
                for i in range(dh.shape[2]):
                    d = phonons[energy, a, k, i] * dh[a, k, i]
                    sigma[energy, a] += f @ dh[a, k, i] @ d
    return sigma


def contour_integral(hamiltonian, points, y):
    """Resolvents summed over a contour, with real matrices in place of complex ones."""
    p0 = np.zeros((hamiltonian.shape[1], y.shape[1]))
    p1 = np.zeros_like(p0)
    for z in points:
        t = np.zeros(hamiltonian.shape[1:])
        for n in range(hamiltonian.shape[0]):
            t += z ** (n - 1.0) * hamiltonian[n]
        x = np.linalg.solve(t, y)
        p0 += x if abs(z) < 1.2 else -x
        p1 += z * x
    return p0, p1


def fourier_radix_2(x):
    """Stockham's transform of the real and imaginary rows of x."""
    n = x.shape[1]
    y = np.array(x)
    half = n // 2
    length, stride = half, 1
    while length >= 1:
        re, im = np.empty(n), np.empty(n)
        angle = -np.pi * np.arange(length) / length
        c, s = np.cos(angle), np.sin(angle)
        a = y.reshape(2, 2, length, stride)
        for q in range(stride):
            up, down = a[:, 0, :, q] + a[:, 1, :, q], a[:, 0, :, q] - a[:, 1, :, q]
            re.reshape(length, 2, stride)[:, 0, q] = up[0]
            im.reshape(length, 2, stride)[:, 0, q] = up[1]
            re.reshape(length, 2, stride)[:, 1, q] = down[0] * c - down[1] * s
            im.reshape(length, 2, stride)[:, 1, q] = down[0] * s + down[1] * c
        y = np.stack([re, im])
        length, stride = length // 2, stride * 2
    return y


KERNELS = {
    "jacobi_1d": (jacobi_1d, (2, array(7), array(7))),
    "jacobi_2d": (jacobi_2d, (3, array(4, 5))),
    "heat_3d": (heat_3d, (2, array(4, 3, 4), 0.125)),
    "seidel_2d": (seidel_2d, (2, array(4, 4))),
    "fdtd_2d": (fdtd_2d, (array(3, 4), array(3, 4), array(3, 4), array(2))),
    "adi": (adi, (1, array(5, 5))),
    "limited_diffusion": (limited_diffusion, (array(6, 7), array(2, 3, low=0.1))),
    "vertical_advection": (vertical_advection, (array(2, 4), array(2, 5), array(2, 4))),
    "cavity_flow": (cavity_flow, (array(4, 4), array(4, 4), array(4, 4), 0.1)),
    "channel_flow": (channel_flow, (array(4, 4, low=0.5), array(4, 4), 0.3)),
    "cholesky": (cholesky, (spd(4),)),
    "lu": (lu, (spd(4),)),
    "ludcmp": (ludcmp, (spd(4), array(4))),
    "trisolv": (trisolv, (np.tril(spd(4)), array(4))),
    "durbin": (durbin, (array(5, low=0.1, high=0.3),)),
    "gramschmidt": (gramschmidt, (array(4, 3),)),
    "gemver": (gemver, (1.5, 0.5, array(3, 3), array(3), array(3), array(3), array(3))),
    "gesummv": (gesummv, (1.5, 0.5, array(3, 3), array(3, 3), array(3))),
    "atax": (atax, (array(3, 4), array(4))),
    "bicg": (bicg, (array(3, 4), array(4), array(3))),
    "mvt": (mvt, (array(3), array(3), array(3), array(3), array(3, 3))),
    "symm": (symm, (1.5, 0.5, array(3, 2), array(3, 3), array(3, 2))),
    "syr2k": (syr2k, (1.5, 0.5, array(3, 3), array(3, 2), array(3, 2))),
    "trmm": (trmm, (1.5, array(3, 3), array(3, 2))),
    "doitgen": (doitgen, (array(2, 3, 3), array(3, 3))),
    "chain_of_products": (chain_of_products, (array(2, 3), array(3, 4), array(4, 2))),
    "covariance": (covariance, (array(5, 3),)),
    "correlation": (correlation, (array(5, 3),)),
    "azimuthal_integral": (azimuthal_integral, (array(12), array(12, low=0.0), 4)),
    "arc_distance": (arc_distance, (array(3), array(3), array(3), array(3))),
    "clipped_sum": (clipped_sum, (array(3, 4), array(3, 4), 1.5, -0.5, 2.0)),
    "spmv": (spmv, (np.array([0, 2, 3, 6]), np.array([0, 2, 1, 0, 1, 3]), array(6), array(4))),
    "shortest_paths": (shortest_paths, (array(4, 4, low=0.1, high=2.0),)),
    "go_fast": (go_fast, (array(3, 3),)),
    "deriche": (deriche, (0.25, array(3, 5))),
    "softmax": (softmax, (array(2, 3, 4),)),
    "mlp": (mlp, (array(2, 3), array(3, 4), array(4), array(4, 3), array(3))),
    "conv2d": (conv2d, (array(1, 3, 4, 2), array(2, 2, 2, 2), array(2))),
    "batchnorm_residual": (batchnorm_residual, (array(5, 2), array(3, 2))),
    "maxpool": (maxpool, (array(4, 6),)),
    "nbody": (nbody, (array(3, 1, low=0.5), array(3, 2), array(3, 2), 1.0)),
    "self_energies": (
        self_energies,
        (np.array([[1, 2], [0, 2], [1, 0]]), array(3, 2, 2, 2, 2), array(2, 3, 2, 2), array(2, 3, 2, 2)),
    ),
    "contour_integral": (contour_integral, (array(3, 3, 3) + 3 * np.eye(3), np.array([0.9, 1.3]), array(3, 2))),
    "fourier_radix_2": (fourier_radix_2, (array(2, 8),)),
}
