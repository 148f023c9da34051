"""The further contexts that efforts 2 and 3 mix: templates, as those of effort 1 are.

Each question has its template of effort 1 and the ones here; effort 2 takes the first of them,
effort 3 all, see :mod:`compresso.kernels.ristretto_mixing`.
"""

from compresso.kernels.ristretto_contexts import (
    ABOVE_2D,
    LEFT_2D,
    LEFT_3D,
    NE,
    NEE,
    NEEE,
    NN,
    NNE,
    NNEE,
    NNN,
    NNNE,
    NNW,
    NW,
    NWW,
    PE,
    PN,
    PS,
    PSE,
    PW,
    SAME_2D,
    SAME_3D,
    WW,
    ZERO,
    N,
    P,
    Q,
    W,
    cur,
    prev,
    prev2,
    template,
)

PNE = prev(-1, 1)

_FAR_SAME_3D = template(
    W,
    *(NEEE, prev(3, 2), prev2(0, 2), prev(1, -1), prev(1, 2), cur(-4, 0), prev2(0, -1)),
    *(prev(-1, 3), PW, (P, PE), prev(-2, 1), cur(-3, 2), (NE, NNE), (PNE, NE)),
)
_FAR_LEFT_3D = template(
    W,
    *(NEE, cur(-4, 0), cur(-1, 4), (NE, ZERO), (NE, NNE), (NW, WW), prev(1, 2), prev(-1, -2)),
    *(WW, (prev(2, 1), N), prev(1, -2), (P, ZERO), (Q, N), (NEE, N)),
)
MORE_SAME_3D = (
    (*_FAR_SAME_3D, *template(W, P, NE)),
    template(
        W,
        *(NE, prev(3, -1), NEEE, NNNE, cur(-4, 4), (NE, NEE), prev(2, -3), prev(-3, 0), P),
        *(prev2(0, -1), prev(-3, 5), prev(1, 4), (NE, NNE)),
    ),
    template(
        W,
        *(NEE, cur(-4, 1), NE, cur(-3, 3), (NW, NN), cur(-1, 4), (W, ZERO), cur(-3, 5)),
        *((NEE, NNEE), cur(-4, 2), (NEE, NEEE), (NE, NNE), (NE, NEE), cur(-2, 5), NNN),
        *(cur(-3, 2), NNE),
    ),
    template(
        W,
        *(NE, prev(4, -1), NN, prev(0, 4), prev(-3, 1), P, prev2(-1, 0), prev(3, -3), Q),
        *((P, PS), PW, prev(-3, -2), prev(-2, 3)),
    ),
    SAME_3D[:11],
    template(
        W,
        *(NE, NEE, NN, NNE, P, PE, PS, PSE, PN, PW, Q, prev2(0, 1), prev2(1, 0), prev(2, 0)),
        *(prev(0, 2), prev2(0, -1)),
    ),
    (*SAME_3D, *_FAR_SAME_3D),
)
MORE_LEFT_3D = (
    (*_FAR_LEFT_3D, *template(W, prev(5, 0), NE)),
    template(
        W,
        *(prev(2, 2), NEEE, cur(-4, -1), (NNW, NW), (cur(-3, -5), N), (prev(0, 2), N)),
        *((cur(-3, -2), N), prev(-2, -3), (NWW, NW), P, (P, PN), prev(3, 0), PW, NW),
        *(prev2(-1, -1), NNN, NE, cur(-3, -4)),
    ),
    template(
        W,
        *(cur(-1, 4), cur(-4, -2), (W, ZERO), (cur(-2, -5), N), (NW, NN), cur(-3, -3)),
        *((cur(-4, -1), N), (N, ZERO), cur(-1, -6), NE, (NWW, NW), (cur(-2, -3), N), NW),
        *((cur(-3, -2), N), cur(-4, 0), cur(-1, 6), cur(-2, -4), NNW),
    ),
    template(
        W,
        *(prev(2, 3), NE, (prev(3, 2), N), prev(-3, -3), (NW, NN), P, prev(4, 0), prev2(0, -1)),
        *(prev(0, 4), (prev(-2, -2), N), prev(-3, -1), NW, (prev(0, 2), N), (prev(1, -2), N)),
        *(prev(-3, 1), PW),
    ),
    LEFT_3D[:11],
    template(
        W,
        *(NE, NW, WW, (WW, NW), (NW, N), P, (P, N), PE, PS, PSE, PN, PW, Q, (Q, N)),
        *(prev2(0, 1), prev2(1, 0), prev(2, 0)),
    ),
    (*LEFT_3D, *_FAR_LEFT_3D, *template(W, prev(5, 0))),
)
MORE_SAME_2D = (
    template(
        W,
        *(NE, NEE, NEEE, cur(-1, 4), cur(-1, 5), cur(-1, 6), NN, NNE, NNEE, cur(-2, 3)),
        *(cur(-2, 4), cur(-2, 5), NW, NNW, NNNE, cur(-3, 2), cur(-3, 3), cur(-3, 4)),
    ),
    SAME_2D[:10],
    template(
        W,
        *(*SAME_2D, cur(-7, 2), cur(-8, 1), cur(-5, 4), cur(-6, 4), NNEE, cur(-2, 3)),
    ),
    SAME_2D[:14],
    template(
        W,
        *(NW, NE, NNW, NN, NNE, cur(-3, -1), NNN, NNNE, WW, (NW, NN), (NE, NNE), NEE),
        *((W, ZERO),),
    ),
)
MORE_LEFT_2D = (
    template(
        W,
        *(NE, NEE, NEEE, cur(-1, 4), cur(-1, 5), cur(-1, 6), (NE, N), (NEE, N), (NEEE, N)),
        *((NN, N), (NNE, N), NN, NNE, NNW, (NW, N), (NNW, N), NW),
    ),
    LEFT_2D[:11],
    template(
        W,
        *(*LEFT_2D, (cur(-7, -1), N), (cur(-5, -2), N), cur(-3, -3), cur(-3, -2), cur(-4, 3)),
        *(NE, (NWW, NW)),
    ),
    LEFT_2D[:15],
    template(
        W,
        *((NW, N), (NWW, N), (cur(-1, -3), N), (cur(-1, -4), N), (cur(-1, -5), N), WW),
        *(cur(0, -3), cur(0, -4), cur(0, -5), (NN, N), (NNW, N), (cur(-2, -2), N)),
        *((cur(-2, -3), N), (cur(-2, -4), N), (NNE, N), (NNEE, N), (cur(-3, -1), N)),
    ),
)
MORE_ABOVE_3D = (
    template(
        N,
        *(prev(1, 4), NE, (P, PN), prev(-3, -3), (P, W), P, prev2(-1, 1), (P, PS), NW),
        *(prev(0, -3), prev(4, 4), PS, (NE, W)),
    ),
    template(
        N,
        *(NEEE, cur(-1, -4), cur(-5, -2), NE, (NW, NN), (cur(0, -5), W), cur(-3, -3)),
        *(cur(-1, 6), cur(-4, 4), NEE, (NEE, W), (N, ZERO)),
    ),
)
MORE_ABOVE_2D = (ABOVE_2D[:6], ABOVE_2D[:9])
# What chooses the weights.
WEIGH_SAME_3D = template(W, P, NE, PS, PE, (NW, NN))
WEIGH_SAME_2D = template(W, NE, NW, NN, NNE, NEE)
WEIGH_LEFT_3D = template(W, P, NE, (P, N), NW, WW)
WEIGH_LEFT_2D = template(W, NW, (NW, N), WW, NE, (NWW, N))
WEIGH_ABOVE_3D = template(W, P, NE, (P, N), (NW, N), (NE, N))
WEIGH_ABOVE_2D = template(W, NE, (NE, N), (NW, N), NW, WW)
# The rings of a run: where it starts, its middle, and the voxel after the flat stretch.
MORE_RUN_3D = (
    (
        (prev(2, 0), Q),
        (prev(2, 0), prev(3, 0), prev2(1, 0), prev2(2, 0), NNN),
        (NE, NNE, PSE, PNE, PE, prev(2, 0), prev(3, 0)),
    ),
    (
        (prev(3, 1), prev2(2, 0), WW),
        (Q, prev(4, 0), PS),
        (cur(-2, -1), N, prev(2, -1), prev2(1, -1)),
    ),
)
MORE_RUN_2D = (
    (
        (NN, NNN, cur(-2, -1), NWW, cur(-3, -1), cur(-1, -3)),
        (NN, NNN),
        (NN, NNN, NNE, NNNE, NNEE, cur(-3, 2), cur(-2, -1)),
    ),
    ((NWW, WW), (NN, cur(-4, 0)), (NNE, NNEE, cur(-2, 3), NEE, NEEE, cur(-3, 3), NNNE)),
)
