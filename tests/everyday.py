"""Scientific functions as people write them, in plain NumPy: they allocate, fill and overwrite as they go."""

import numpy as np

rng = np.random.default_rng(7)


def thomas(a, b, c, d):
    """A tridiagonal system."""
    n = len(d)
    cp, dp, x = np.zeros(n - 1), np.zeros(n), np.empty(n)
    cp[0], dp[0] = c[0] / b[0], d[0] / b[0]
    for i in range(1, n):
        m = b[i] - a[i - 1] * cp[i - 1]
        if i < n - 1:
            cp[i] = c[i] / m
        dp[i] = (d[i] - a[i - 1] * dp[i - 1]) / m
    x[-1] = dp[-1]
    for i in reversed(range(n - 1)):
        x[i] = dp[i] - cp[i] * x[i + 1]
    return x


def levinson(r):
    """Prediction coefficients from autocorrelations."""
    n = len(r) - 1
    a, e = np.zeros(n + 1), r[0]
    a[0] = 1.0
    for k in range(1, n + 1):
        acc = r[k]
        for j in range(1, k):
            acc += a[j] * r[k - j]
        g = -acc / e
        new = a.copy()
        for j in range(1, k):
            new[j] = a[j] + g * a[k - j]
        new[k] = g
        a = new
        e *= 1 - g * g
    return a


def hidden_markov(log_pi, log_A, log_B):
    """The forward algorithm, one column a step, in a table."""
    T, S = log_B.shape
    alpha = np.full((T, S), -np.inf)
    alpha[0] = log_pi + log_B[0]
    for t in range(1, T):
        for s in range(S):
            terms = alpha[t - 1] + log_A[:, s]
            top = terms.max()
            alpha[t, s] = top + np.log(np.exp(terms - top).sum()) + log_B[t, s]
    return alpha[-1]


def viterbi(log_pi, log_A, log_B):
    T, S = log_B.shape
    score, back = np.zeros((T, S)), np.zeros((T, S), dtype=int)
    score[0] = log_pi + log_B[0]
    for t in range(1, T):
        for s in range(S):
            options = score[t - 1] + log_A[:, s]
            back[t, s] = np.argmax(options)
            score[t, s] = options[back[t, s]] + log_B[t, s]
    path = [int(np.argmax(score[-1]))]
    for t in range(T - 1, 0, -1):
        path.append(back[t, path[-1]])
    total = log_pi[path[-1]]
    for t, s in enumerate(reversed(path)):
        total += log_B[t, s] + (log_A[path[-t], s] if t else 0.0)
    return score.max() + total


def de_boor(knots, coefficients, at):
    p, out = 3, np.empty(len(at))
    for m, x in enumerate(at):
        k = int(np.searchsorted(knots, x, side="right")) - 1
        d = [coefficients[j + k - p] for j in range(p + 1)]
        for r in range(1, p + 1):
            for j in range(p, r - 1, -1):
                alpha = (x - knots[j + k - p]) / (knots[j + 1 + k - r] - knots[j + k - p])
                d[j] = (1 - alpha) * d[j - 1] + alpha * d[j]
        out[m] = d[p]
    return out


def gauss_seidel(A, b):
    x = np.zeros_like(b)
    for _ in range(4):
        for i in range(len(b)):
            x[i] = (b[i] - A[i, :i] @ x[:i] - A[i, i + 1 :] @ x[i + 1 :]) / A[i, i]
    return x


def ldl(A):
    n = len(A)
    L, D = np.eye(n), np.zeros(n)
    for j in range(n):
        D[j] = A[j, j] - np.sum(L[j, :j] ** 2 * D[:j])
        for i in range(j + 1, n):
            L[i, j] = (A[i, j] - np.sum(L[i, :j] * L[j, :j] * D[:j])) / D[j]
    return np.concatenate([L.ravel(), D])


def householder(A):
    R, Q = A.copy(), np.eye(len(A))
    for k in range(A.shape[1]):
        v = R[k:, k].copy()
        v[0] += np.copysign(np.linalg.norm(v), v[0])
        v /= np.linalg.norm(v)
        R[k:, k:] -= 2 * np.outer(v, v @ R[k:, k:])
        Q[:, k:] -= 2 * np.outer(Q[:, k:] @ v, v)
    return np.hstack([Q, R])


def finite_volume(u, speed):
    """Burgers' equation with ghost cells, upwind by Lax-Friedrichs."""
    n = len(u)
    w = np.empty(n + 2)
    for _ in range(3):
        w[1:-1] = u
        w[0], w[-1] = w[-2], w[1]
        flux = np.zeros(n + 1)
        for i in range(n + 1):
            left, right = w[i], w[i + 1]
            flux[i] = 0.25 * (left**2 + right**2) - 0.5 * speed * (right - left)
        u = u - 0.1 * np.diff(flux)
    return u


def crank_nicolson(u, kappa):
    n, r = len(u), 0.4 * kappa
    A, B = np.zeros((n, n)), np.zeros((n, n))
    for i in range(n):
        A[i, i], B[i, i] = 1 + r, 1 - r
        if i:
            A[i, i - 1], B[i, i - 1] = -r / 2, r / 2
        if i < n - 1:
            A[i, i + 1], B[i, i + 1] = -r / 2, r / 2
    history = [u]
    for _ in range(3):
        history.append(np.linalg.solve(A, B @ history[-1]))
    return np.array(history)


def lotka_volterra(start, rates):
    steps, dt = 12, 0.05
    y = np.zeros((steps + 1, 2))
    y[0, :] = start
    for k in range(steps):
        prey, predator = y[k]
        y[k + 1, 0] = prey + dt * (rates[0] * prey - rates[1] * prey * predator)
        y[k + 1, 1] = predator + dt * (rates[2] * prey * predator - rates[3] * predator)
    return y


def convolution(image, kernel):
    m, n = kernel.shape
    out = np.zeros((image.shape[0] - m + 1, image.shape[1] - n + 1))
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            for p in range(m):
                for q in range(n):
                    out[i, j] += image[i + p, j + q] * kernel[p, q]
    return out


def soft_edit_distance(a, b):
    def soft_min(*values):
        v = np.array(values)
        return -0.3 * np.log(np.sum(np.exp(-v / 0.3)))

    D = np.zeros((len(a) + 1, len(b) + 1))
    D[:, 0] = np.arange(len(a) + 1)
    D[0, :] = np.arange(len(b) + 1)
    for i in range(1, len(a) + 1):
        for j in range(1, len(b) + 1):
            change = 1 - np.exp(-((a[i - 1] - b[j - 1]) ** 2))
            D[i, j] = soft_min(D[i - 1, j] + 1, D[i, j - 1] + 1, D[i - 1, j - 1] + change)
    return D[-1, -1]


def time_warping(a, b):
    D = np.full((len(a) + 1, len(b) + 1), np.inf)
    D[0, 0] = 0
    for i in range(len(a)):
        for j in range(len(b)):
            D[i + 1, j + 1] = (a[i] - b[j]) ** 2 + min(D[i, j + 1], D[i + 1, j], D[i, j])
    return D[-1, -1]


def kalman(F, H, Q, R, ys):
    x, P = np.zeros(2), np.eye(2)
    means, loglik = [], 0.0
    for y in ys:
        x, P = F @ x, F @ P @ F.T + Q
        S = H @ P @ H + R
        gain = P @ H / S
        residual = y - H @ x
        loglik += -0.5 * (np.log(S) + residual**2 / S)
        x, P = x + gain * residual, P - np.outer(gain, H) @ P
        means.append(x)
    return np.append(np.array(means).ravel(), loglik)


def log_density(theta, data):
    """Of a regression whose noise grows, with priors."""
    parts = np.empty(len(data))
    scale = np.exp(theta[2])
    for i, (x, y) in enumerate(data):
        s = scale * (1 + theta[3] ** 2 * abs(x))
        parts[i] = -0.5 * ((y - theta[0] - theta[1] * x) / s) ** 2 - np.log(s)
    prior = 0.0
    for t in theta:
        prior -= 0.5 * t * t
    return parts.sum() + prior


def soft_counts(values, centres):
    counts = np.zeros(len(centres))
    for v in values:
        weights = np.exp(-((v - centres) ** 2) / 0.1)
        counts += weights / weights.sum()
    counts /= counts.sum()
    return counts


def reaction_diffusion(u, v):
    lap, work = np.empty_like(u), np.empty_like(u)

    def laplacian(w, out):
        np.add(np.roll(w, 1, 0), np.roll(w, -1, 0), out=out)
        out += np.roll(w, 1, 1)
        out += np.roll(w, -1, 1)
        out -= 4 * w

    for _ in range(3):
        laplacian(u, lap)
        np.multiply(u, v, out=work)
        work *= v
        du = 0.1 * lap - work + 0.03 * (1 - u)
        laplacian(v, lap)
        v = v + 0.05 * lap + work - 0.09 * v
        u = u + du
    return np.stack([u, v])


def runge_kutta(y0, omega):
    """A driven oscillator, its stages in one array."""
    k = np.zeros((4, 2))
    out = np.zeros((6, 2))
    out[0] = y0
    h = 0.1

    def rhs(t, y, dy):
        dy[0] = y[1]
        dy[1] = -(omega[0] ** 2) * np.sin(y[0]) - omega[1] * y[1] + np.cos(t)

    y = y0.copy()
    for n in range(5):
        rhs(n * h, y, k[0])
        rhs(n * h + h / 2, y + h / 2 * k[0], k[1])
        rhs(n * h + h / 2, y + h / 2 * k[1], k[2])
        rhs(n * h + h, y + h * k[2], k[3])
        y += h / 6 * (k[0] + 2 * k[1] + 2 * k[2] + k[3])
        out[n + 1] = y
    return out


def ray_marching(centre, radius, light):
    """The shading of a ball, a few rays; those that miss stay dark."""
    image = np.zeros((3, 3))
    for i, py in enumerate(np.linspace(-0.6, 0.6, 3)):
        for j, px in enumerate(np.linspace(-0.6, 0.6, 3)):
            direction = np.array([px, py, 2.0]) / np.sqrt(px**2 + py**2 + 4)
            t = 0.0
            for _ in range(30):
                gap = np.linalg.norm(t * direction - centre) - radius
                if gap < 1e-12 or t > 10:
                    break
                t = t + gap
            if t < 10:
                normal = (t * direction - centre) / radius
                image[i, j] = max(0.0, normal @ light)
    return image


def masked(x):
    y = np.zeros_like(x)
    positive = x > 0
    y[positive] = np.log1p(x[positive])
    y[~positive] = np.expm1(x[~positive])
    y[np.abs(y) < 0.1] *= 3
    np.clip(y, -0.8, 1.2, out=y)
    return y


def sorted_fill(x, w):
    """Weighted quantiles, put back into the places they come from."""
    order = np.argsort(x)
    total = np.cumsum(w[order])
    ranks = np.empty_like(x)
    ranks[order] = (total - 0.5 * w[order]) / total[-1]
    smooth = np.zeros(len(x))
    for k, i in enumerate(order):
        lo, hi = max(0, k - 1), min(len(x), k + 2)
        smooth[i] = x[order[lo:hi]].mean() * ranks[i]
    return smooth


def ring_buffer(signal, taps):
    buffer, head = np.zeros(len(taps)), 0
    out = np.empty(len(signal))
    for n, s in enumerate(signal):
        buffer[head] = s
        acc = 0.0
        for k in range(len(taps)):
            acc += taps[k] * buffer[(head - k) % len(taps)]
        out[n] = np.tanh(acc)
        buffer[head] = 0.5 * (s + out[n])
        head = (head + 1) % len(taps)
    return out


def memoised(p):
    """Bernstein polynomials by recursion, each value kept in a table."""
    table = np.full((5, 5), np.nan)
    known = np.zeros((5, 5), dtype=bool)

    def b(n, k):
        if not 0 <= k <= n:
            return 0.0
        if n == 0:
            return 1.0
        if not known[n, k]:
            table[n, k] = (1 - p[0]) * b(n - 1, k) + p[1] * b(n - 1, k - 1)
            known[n, k] = True
        return table[n, k]

    return np.array([b(4, k) for k in range(5)])


def bodies(position, velocity, mass):
    """Leapfrog; the state is a dict that each step writes to."""
    state = {"x": position.copy(), "v": velocity.copy(), "energy": []}

    def acceleration():
        a = np.zeros_like(state["x"])
        for i in range(len(mass)):
            for j in range(len(mass)):
                if i != j:
                    d = state["x"][j] - state["x"][i]
                    a[i] += mass[j] * d / (d @ d + 0.1) ** 1.5
        return a

    for _ in range(2):
        state["v"] += 0.05 * acceleration()
        state["x"] += 0.1 * state["v"]
        state["v"] += 0.05 * acceleration()
        state["energy"].append(0.5 * np.sum(mass * np.sum(state["v"] ** 2, axis=1)))
    return np.concatenate([state["x"].ravel(), state["v"].ravel(), state["energy"]])


def normalised(X):
    X = X.copy()
    for j in range(X.shape[1]):
        column = X[:, j]
        column -= column.mean()
        column /= np.sqrt((column**2).mean() + 1e-3)
    X[0] *= 2
    X /= np.abs(X).sum()
    return X


def page_rank(W, damping):
    n = len(W)
    P = W / W.sum(axis=0)
    rank = np.full(n, 1.0 / n)
    for _ in range(5):
        new = np.zeros(n)
        for i in range(n):
            new[i] = (1 - damping[0]) / n + damping[0] * np.dot(P[i], rank)
        rank[:] = new
    return rank


def neville(xs, ys):
    p = list(ys)
    for m in range(1, len(xs)):
        for i in range(len(xs) - m):
            p[i] = ((0.3 - xs[i + m]) * p[i] + (xs[i] - 0.3) * p[i + 1]) / (xs[i] - xs[i + m])
    return p[0]


def _spd(n):
    A = rng.normal(size=(n, n))
    return A @ A.T + n * np.eye(n)


def _vec(n, shift=0.0):
    return rng.normal(size=n) + shift


def _pos(*shape):
    return rng.uniform(0.5, 1.5, size=shape)


# name: the function and its arguments
EVERYDAY = {
    f.__name__: (f, args)
    for f, args in [
        (thomas, (_vec(4), _pos(5) + 3, _vec(4), _vec(5))),
        (levinson, (np.array([3.0, 1.1, 0.4, -0.2]),)),
        (hidden_markov, (_vec(3), _vec((3, 3)), _vec((4, 3)))),
        (viterbi, (_vec(3), _vec((3, 3)), _vec((4, 3)))),
        (de_boor, (np.array([0, 0, 0, 0, 0.3, 0.6, 1, 1, 1, 1.0]), _vec(6), np.array([0.1, 0.45, 0.8]))),
        (gauss_seidel, (_spd(4), _vec(4))),
        (ldl, (_spd(4),)),
        (householder, (_vec((4, 3)),)),
        (finite_volume, (_vec(6), _pos(1)[0])),
        (crank_nicolson, (_vec(5), _pos(1)[0])),
        (lotka_volterra, (_pos(2), _pos(4))),
        (convolution, (_vec((4, 4)), _vec((2, 3)))),
        (soft_edit_distance, (_vec(3), _vec(4))),
        (time_warping, (_vec(4), _vec(3))),
        (kalman, (_vec((2, 2)), _vec(2), _spd(2), 1.3, _vec(4))),
        (log_density, (0.3 * _vec(4), _vec((6, 2)))),
        (soft_counts, (_vec(5), np.linspace(-1, 1, 4))),
        (reaction_diffusion, (_pos(4, 4), _pos(4, 4))),
        (runge_kutta, (_vec(2), _pos(2))),
        (ray_marching, (np.array([0.1, -0.05, 3.0]), 0.9, np.array([0.3, -0.4, -0.8]))),
        (masked, (_vec(7),)),
        (sorted_fill, (np.array([0.3, -1.2, 1.7, 0.9, -0.4, 2.6]), _pos(6))),
        (ring_buffer, (_vec(7), _vec(3))),
        (memoised, (np.array([0.3, 0.6]),)),
        (bodies, (_vec((3, 2)), _vec((3, 2)), _pos(3))),
        (normalised, (_vec((4, 3)),)),
        (page_rank, (_pos(4, 4), np.array([0.85]))),
        (neville, (np.array([0.0, 0.7, 1.3, 2.1]), _vec(4))),
    ]
}
