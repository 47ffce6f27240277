"""Which names lead their neighbours: does a name's own move say where its neighbours go the day after?

With x_j the standardised residual return of name j, clipped so that no single day decides, N(j) its neighbours and
s_jk = ±1 the sign of their correlation,

    u_j(t) = x_j(t) - (x_j(t) + sum_{k in N(j)} s_jk x_k(t)) / (1 + |N(j)|)        own move, the group's taken out
    y_j(t) = w_j . (x_j(t), x_k(t) for k in N(j)),   w_j = S_j^-1 d_j              what the group did beyond itself
    t_j    = sum_t u_j(t - 1) y_j(t) / sqrt(sum_t u_j(t - 1)^2 y_j(t)^2)           about N(0, 1) without a lead

d_j says who would follow: s_jk (1 - P_k) for a neighbour, 0 for j itself, which cannot follow its own news. S_j is the
covariance of the group's moves, and its inverse makes the test a generalised least squares one (Aitken 1935): most of
what a group does is common to all of it and has nothing to do with yesterday's leader, and those who do not follow show
that part, so it can be taken out. The statistic is robust to changing volatility (White 1980). Testing a group at once
is many times sharper than any single pair's lagged correlation (Hou 2007 and Bennett, Cucuringu and Reinert 2022 find
such leaders in real markets).

P_j, the probability that j leads, follows from all names' t together, by empirical Bayes with two groups (Efron 2008):

    t ~ (1 - p) N(0, 1) + p N(m, 1),   m >= 2             p and m by expectation maximisation, p from a Beta prior
    P_j = 1 / (1 + exp(m^2 / 2 - m t_j) (1 - p) / p)

Where nobody leads, p is small, and a t-value of 3 among thousands impresses nobody. As P says who follows, and who
follows decides t, both are found in turn. What leads does not follow: news goes from some names to others and not in a
circle, so the lead of j over its neighbour i is m P_j (1 - P_i), the t-statistic of those that lead as far as j is one
of them and i is not.

Only days of the window count, and the pair (t - 1, t) lies within it, so a graph made at the close of a day knows
nothing of the day after.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Indices = NDArray[np.int64]

DECIMALS = 4
LEAST_EFFECT = 2.0
"""Least mean t-statistic of those that lead: what cannot be told from noise is no group of its own."""
PRIOR_SHARE, PRIOR_NAMES = 0.1, 10
"""Share of names that lead as far as nothing is known, and how many names that is worth."""
ROUNDS = 3
"""How often who leads and who follows are found in turn; more change nothing that matters."""
_EM_ROUNDS = 200
_FEWEST_DAYS = 20
_NAMES_PER_BLOCK = 32


@dataclass(frozen=True)
class Leaders:
    """How far each of N names leads its neighbours."""

    t: Array
    """[N] t-statistics; 0 for a name without neighbours or with fewer than 20 pairs of days."""
    probability: Array
    """[N] that the name leads."""
    effect: float
    """Mean t-statistic of those that lead."""

    def over(self, source: Indices, target: Indices) -> Array:
        """Lead of each source over its target, [E], in units of a t-statistic; rounded."""
        return np.round(self.effect * self.probability[source] * (1.0 - self.probability[target]), DECIMALS)


def leaders(x: Array, first: Indices, second: Indices, correlation: Array) -> Leaders:
    """Who leads.

    Args:
        x: [W, N] standardised residual returns, oldest first, NaN where missing.
        first, second: [E] the ends of each undirected edge (positions).
        correlation: [E] signed correlation of each edge; only its sign counts.
    """
    names = x.shape[1]
    group, sign = _groups(names, first, second, np.sign(correlation))
    moments = _moments(x, group, sign)
    probability, effect = np.zeros(names), LEAST_EFFECT
    t = np.zeros(names)
    for _ in range(ROUNDS):
        t = np.round(_statistics(moments, sign, probability[group]), DECIMALS)
        found, effect = two_groups(t[moments.known])
        probability = np.zeros(names)
        probability[moments.known] = found
    return Leaders(t, probability, effect)


def two_groups(t: Array) -> tuple[Array, float]:
    """Probability of each name to lead [N], and the mean t-statistic of those that do.

    The starting values and the number of rounds are fixed, so equal inputs give equal results.
    """
    share, effect = PRIOR_SHARE, LEAST_EFFECT
    probability = np.zeros(len(t))
    if not len(t):
        return probability, effect
    for _ in range(_EM_ROUNDS):
        odds = np.clip(effect * t - 0.5 * effect**2 + np.log(share / (1.0 - share)), -500.0, 500.0)
        probability = 1.0 / (1.0 + np.exp(-odds))
        total = float(probability.sum())
        share = min((total + PRIOR_SHARE * PRIOR_NAMES) / (len(t) + PRIOR_NAMES), 0.5)
        effect = max(float(probability @ t) / total, LEAST_EFFECT) if total > 0.0 else LEAST_EFFECT
    return probability, effect


@dataclass(frozen=True)
class _Moments:
    """Sums over the days for each name j and the K members of its group, j itself first."""

    cross: Array
    """[N, K] of u_j(t - 1) x_k(t)."""
    covariance: Array
    """[N, K, K] of x_k(t) x_l(t)."""
    square: Array
    """[N, K, K] of u_j(t - 1)^2 x_k(t) x_l(t)."""
    known: NDArray[np.bool_]
    """[N] whether the name has neighbours and enough days."""


def _groups(names: int, first: Indices, second: Indices, signs: Array) -> tuple[Indices, Array]:
    """Each name and its neighbours [N, K], and their signs [N, K]: 1 for the name itself, 0 where there is none."""
    source, target = np.r_[first, second], np.r_[second, first]
    order = np.lexsort((target, source))
    source, target, sign = source[order], target[order], np.r_[signs, signs][order]
    degree = np.bincount(source, minlength=names)
    place = 1 + np.arange(len(source)) - np.repeat(np.cumsum(degree) - degree, degree)
    width = 1 + int(degree.max(initial=0))
    group = np.repeat(np.arange(names)[:, None], width, axis=1)
    out = np.zeros((names, width))
    out[:, 0] = 1.0
    group[source, place], out[source, place] = target, sign
    return group, out


def _moments(x: Array, group: Indices, sign: Array) -> _Moments:
    names, width = group.shape
    known = np.isfinite(x.T)
    moves = np.ascontiguousarray(np.where(known, x.T, 0.0))  # [N, W]: a name's days lie together
    own = np.zeros_like(moves)
    for block in _blocks(names):
        total = (sign[block][:, None, :] @ moves[group[block]])[:, 0]
        own[block] = moves[block] - total / np.abs(sign[block]).sum(axis=1, keepdims=True)
    own[~known] = 0.0
    before = own[:, :-1]
    # What names do after their own moves, such as to turn back, is no news of others: the mean response is taken out.
    power = float((before * before).sum())
    response = float((before * moves[:, 1:]).sum()) / power if power > 0.0 else 0.0
    after = moves[:, 1:] - response * before
    cross, covariance, square = (np.zeros((names, *shape)) for shape in ((width,), (width, width), (width, width)))
    for block in _blocks(names):
        members = after[group[block]] * (sign[block] != 0.0)[:, :, None]
        weighted = members * before[block][:, None]
        cross[block] = weighted.sum(axis=2)
        covariance[block] = members @ members.swapaxes(1, 2)
        square[block] = weighted @ weighted.swapaxes(1, 2)
    enough = (np.abs(sign).sum(axis=1) > 1.0) & ((before != 0.0).sum(axis=1) >= _FEWEST_DAYS)
    return _Moments(cross, covariance / max(before.shape[1], 1), square, enough)


def _blocks(names: int) -> list[slice]:
    return [slice(start, start + _NAMES_PER_BLOCK) for start in range(0, names, _NAMES_PER_BLOCK)]


def _statistics(moments: _Moments, sign: Array, leading: Array) -> Array:
    """[N] t-statistics, given how likely each member of each group leads [N, K]."""
    direction = sign * (1.0 - leading)
    direction[:, 0] = 0.0
    weight = np.linalg.solve(_regular(moments.covariance), direction[:, :, None])[:, :, 0]
    total = (weight * moments.cross).sum(axis=1)
    square = np.einsum("nk,nkl,nl->n", weight, moments.square, weight, optimize=True)
    known = moments.known & (square > 0.0)
    t: Array = np.divide(total, np.sqrt(np.maximum(square, 0.0)), out=np.zeros(len(total)), where=known)
    return t


def _regular(covariance: Array) -> Array:
    """A tenth of the way to the diagonal, and 1 where a member does not move: can be inverted."""
    variance = np.einsum("nkk->nk", covariance)
    out: Array = 0.9 * covariance
    np.einsum("nkk->nk", out)[:] = np.where(variance > 0.0, variance, 1.0)
    return out
