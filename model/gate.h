/* model/gate.h - the gate of a prefix expert's score: r = s + a1 sigma(a0 s)  (methods.md 2.3).
 *
 * GATE_none leaves the score as it is (HiDe-Prompt). */
#ifndef MODEL_GATE_H
#define MODEL_GATE_H

/* name, sigma(u), sigma'(u).  E(u) = exp, Phi(u), phi(u): the standard normal's distribution and density. */
/* clang-format off */
#define GATES(G)                                                                         \
    G(none, 0, 0)                                                                        \
    G(tanh, GATE_TANH(u), 1 - GATE_TANH(u) * GATE_TANH(u))                               \
    G(sigmoid, GATE_SIGMOID(u), GATE_SIGMOID(u) * (1 - GATE_SIGMOID(u)))                 \
    G(relu, u > 0 ? u : 0, u > 0 ? 1 : 0)                                                \
    G(gelu, u * GATE_PHI(u), GATE_PHI(u) + u * GATE_DENSITY(u))                          \
    G(softplus, u > 20 ? u : GATE_LOG1P_EXP(u), u > 20 ? 1 : GATE_SIGMOID(u))            \
    G(elu, u > 0 ? u : GATE_EXP(u) - 1, u > 0 ? 1 : GATE_EXP(u))
/* clang-format on */

enum gate {
#define G(name, value, slope) GATE_##name,
    GATES(G)
#undef G
        GATE_COUNT
};

enum gate gate_by_name(const char *name); /* GATE_COUNT if there is none */
const char *gate_name(enum gate gate);

#endif
