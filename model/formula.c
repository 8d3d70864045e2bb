/* model/formula.c - see formula.h.
 *
 * The order of drawing random numbers is part of the picture.  C leaves the order of evaluation inside an expression
 * open, so no expression draws twice, except where both draws enter a commutative sum or a ?: orders them. */
#include "model/formula.h"

#include <math.h>
#include <string.h>

#include "model/rng.h"

enum { PIXELS = FORMULA_SIDE_MAX * FORMULA_SIDE_MAX, CURVE = 128, PARTS = 9 };

/* Coordinates: the frame is [-1, 1]^2, x to the right and y down; a shape has its own (u, v), about [-1, 1]^2 too.
 * A part's field is negative inside, zero on the outline, about a distance near it. */
struct part {
    float (*field)(const struct part *, float u, float v);
    float a, b, c, d, r0, r1;
    int mirrored; /* u and -u are the same point: the part and its mirror image */
    int cut;      /* takes away what earlier parts gave */
    float curve[2][CURVE + 1];
};

struct shape {
    float cx, cy, sx, sy, cosine, sine; /* placement: the frame's point of the shape's origin, half-axes, rotation */
    int parts;
    struct part part[PARTS];
};

/* What covers a pixel: u, v and the field of the shape there (in the shape's units), coverage in [0, 1], and the tone
 * to be put there. */
struct canvas {
    int side;
    rng r;
    float image[PIXELS], u[PIXELS], v[PIXELS], field[PIXELS], cover[PIXELS], tone[PIXELS], spare[PIXELS];
};

static const float tau = 6.28318531f;

static float uniform(rng *r, float low, float high)
{
    return low + (high - low) * rng_uniform(r);
}

static int chance(rng *r, float probability)
{
    return rng_uniform(r) < probability;
}

static float clamp01(float x)
{
    return x < 0 ? 0 : x > 1 ? 1 : x;
}

static float square(float x)
{
    return x * x;
}

/* ---- curves: 0..1 sampled at CURVE + 1 points ---- */

static float curve_at(const float *curve, float t)
{
    float x = clamp01(t) * CURVE;
    int i = x >= CURVE ? CURVE - 1 : (int)x;
    return curve[i] + (x - (float)i) * (curve[i + 1] - curve[i]);
}

/* Through `knots` random values in [low, high]: steps, straight pieces or smooth ones. */
static void curve_profile(rng *r, float *curve, int knots, float low, float high)
{
    float value[12];
    for (int k = 0; k < knots; k++)
        value[k] = uniform(r, low, high);
    int kind = (int)rng_below(r, 3);
    for (int i = 0; i <= CURVE; i++) {
        float x = (float)i * (float)(knots - 1) / CURVE;
        int k = x >= (float)(knots - 1) ? knots - 2 : (int)x;
        float f = x - (float)k;
        f = kind == 0 ? (f < 0.5f ? 0.0f : 1.0f) : kind == 1 ? f : f * f * (3 - 2 * f);
        curve[i] = value[k] + f * (value[k + 1] - value[k]);
    }
}

/* A closed radius: random harmonics, decaying. */
static void curve_harmonics(rng *r, float *curve)
{
    float amount = uniform(r, 0.05f, 0.8f), decay = uniform(r, 0.5f, 1.6f), real[9], imaginary[9];
    int order = 1 + (int)rng_below(r, 8), fold = chance(r, 0.5f) ? 1 : 2 + (int)rng_below(r, 4), even = chance(r, 0.4f);
    for (int k = 1; k <= order; k++) {
        float size = amount * powf((float)k, -decay) / 1.5f;
        real[k] = size * rng_normal(r);
        imaginary[k] = even ? 0 : size * rng_normal(r);
    }
    for (int i = 0; i <= CURVE; i++) {
        float angle = tau * (float)i / CURVE, sum = 0;
        for (int k = 1; k <= order; k++)
            sum += real[k] * cosf((float)(k * fold) * angle) + imaginary[k] * sinf((float)(k * fold) * angle);
        curve[i] = 0.75f * expf(fminf(fmaxf(sum, -2), 0.6f));
    }
}

/* A closed radius: a polygon of 3 to 9 corners, regular, star-shaped or irregular. */
static void curve_polygon(rng *r, float *curve)
{
    int corners = 3 + (int)rng_below(r, 7);
    float uneven = chance(r, 0.4f) ? 0 : uniform(r, 0, 0.6f), star = chance(r, 0.3f) ? uniform(r, 0.3f, 0.8f) : 1;
    float x[10], y[10];
    for (int k = 0; k < corners; k++) {
        float angle = tau * ((float)k + 0.25f + uneven * uniform(r, -0.5f, 0.5f)) / (float)corners;
        float radius = (k % 2 ? star : 1) * (1 - uneven * rng_uniform(r));
        x[k] = radius * cosf(angle);
        y[k] = radius * sinf(angle);
    }
    x[corners] = x[0];
    y[corners] = y[0];
    for (int i = 0; i <= CURVE; i++) {
        float angle = tau * (float)i / CURVE, c = cosf(angle), s = sinf(angle), best = 0.1f;
        for (int k = 0; k < corners; k++) { /* where the ray (c, s) meets the edge k */
            float ex = x[k + 1] - x[k], ey = y[k + 1] - y[k], across = c * ey - s * ex;
            float t = fabsf(across) < 1e-6f ? 0 : (x[k] * ey - y[k] * ex) / across;
            float along = fabsf(across) < 1e-6f ? -1 : (x[k] * s - y[k] * c) / across;
            if (t > best && along >= 0 && along <= 1)
                best = t;
        }
        curve[i] = best;
    }
}

/* ---- fields ---- */

static float field_superellipse(const struct part *p, float u, float v)
{
    float x = fabsf(u - p->a) / p->r0, y = fabsf(v - p->b) / p->r1, power = p->c;
    float norm = power > 7                      ? fmaxf(x, y)
                 : power < 2.2f && power > 1.8f ? sqrtf(x * x + y * y)
                                                : powf(powf(x, power) + powf(y, power), 1 / power);
    return (norm - 1) * fminf(p->r0, p->r1);
}

static float field_radial(const struct part *p, float u, float v)
{
    float angle = atan2f(v, u) / tau;
    return sqrtf(u * u + v * v) - curve_at(p->curve[0], angle < 0 ? angle + 1 : angle);
}

/* |u - middle(v)| < width(v), -1 < v < 1. */
static float field_lathe(const struct part *p, float u, float v)
{
    float t = 0.5f * (v + 1);
    return fmaxf(fabsf(u - p->a * (curve_at(p->curve[1], t) - 0.5f)) - curve_at(p->curve[0], t), fabsf(v) - 1);
}

/* top(u) < v < bottom(u), -1 < u < 1. */
static float field_between(const struct part *p, float u, float v)
{
    float t = 0.5f * (u + 1), top = p->a - curve_at(p->curve[0], t), bottom = p->a + curve_at(p->curve[1], t);
    return fmaxf(fmaxf(top - v, v - bottom), fabsf(u) - 1);
}

/* From (a, b) with radius r0 to (c, d) with radius r1. */
static float field_limb(const struct part *p, float u, float v)
{
    float dx = p->c - p->a, dy = p->d - p->b;
    float t = clamp01(((u - p->a) * dx + (v - p->b) * dy) / (dx * dx + dy * dy + 1e-6f));
    return sqrtf(square(u - p->a - t * dx) + square(v - p->b - t * dy)) - p->r0 - t * (p->r1 - p->r0);
}

/* An arc of an ellipse about (a, b) with half-axes r0, r1, thickness 2c, where v < d. */
static float field_arc(const struct part *p, float u, float v)
{
    float norm = sqrtf(square((u - p->a) / p->r0) + square((v - p->b) / p->r1));
    return fmaxf(fabsf(norm - 1) * fminf(p->r0, p->r1) - p->c, v - p->d);
}

/* ---- shapes ---- */

static struct part *add_part(struct shape *s, float (*field)(const struct part *, float, float))
{
    struct part *p = &s->part[s->parts++];
    p->field = field;
    p->mirrored = p->cut = 0;
    p->a = p->b = p->c = p->d = 0;
    p->r0 = p->r1 = 1;
    return p;
}

struct oval {
    float x, y, rx, ry;
};

static struct oval draw_oval(rng *r, struct oval low, struct oval high)
{
    struct oval o;
    o.x = uniform(r, low.x, high.x);
    o.y = uniform(r, low.y, high.y);
    o.rx = uniform(r, low.rx, high.rx);
    o.ry = uniform(r, low.ry, high.ry);
    return o;
}

static void add_superellipse(rng *r, struct shape *s, struct oval o)
{
    struct part *p = add_part(s, field_superellipse);
    p->a = o.x;
    p->b = o.y;
    p->r0 = o.rx;
    p->r1 = o.ry;
    p->c = chance(r, 0.3f) ? 2 : chance(r, 0.4f) ? 8 : uniform(r, 0.7f, 6);
}

static void shape_superellipse(rng *r, struct shape *s)
{
    add_superellipse(r, s, (struct oval){0, 0, 1, 1});
    if (chance(r, 0.4f)) { /* a second one, added or cut out */
        static const struct oval low = {-0.7f, -1, 0.15f, 0.15f}, high = {0.7f, 1, 0.8f, 0.8f};
        add_superellipse(r, s, draw_oval(r, low, high));
        s->part[1].mirrored = chance(r, 0.5f);
        s->part[1].cut = chance(r, 0.6f);
    }
}

static void shape_contour(rng *r, struct shape *s)
{
    struct part *p = add_part(s, field_radial);
    (chance(r, 0.6f) ? curve_harmonics : curve_polygon)(r, p->curve[0]);
    p->mirrored = chance(r, 0.3f);
    if (chance(r, 0.35f)) { /* a ring */
        p = add_part(s, field_radial);
        float inner = uniform(r, 0.3f, 0.85f);
        (chance(r, 0.5f) ? curve_harmonics : curve_polygon)(r, p->curve[0]);
        for (int i = 0; i <= CURVE; i++)
            p->curve[0][i] *= inner;
        p->cut = 1;
    }
}

static void shape_silhouette(rng *r, struct shape *s)
{
    int upright = chance(r, 0.55f);
    struct part *p = add_part(s, upright ? field_lathe : field_between);
    curve_profile(r, p->curve[0], 2 + (int)rng_below(r, 7), upright ? 0.15f : 0, 1);
    curve_profile(r, p->curve[1], 2 + (int)rng_below(r, 5), 0, 1);
    if (upright)
        p->a = chance(r, 0.6f) ? 0 : uniform(r, 0.2f, 1.2f);
    else
        p->a = uniform(r, -0.4f, 0.6f);
    if (!upright && chance(r, 0.6f)) /* a flat foot */
        for (int i = 0; i <= CURVE; i++)
            p->curve[1][i] = 0.4f;
    int extras = (int)rng_below(r, 3);
    for (int k = 0; k < extras; k++) {
        static const struct oval low = {-0.8f, -1, 0.1f, 0.1f}, high = {0.8f, 1, 0.5f, 0.6f};
        add_superellipse(r, s, draw_oval(r, low, high));
        s->part[k + 1].cut = chance(r, 0.7f);
        s->part[k + 1].mirrored = chance(r, 0.4f);
    }
    if (chance(r, 0.2f)) { /* a handle */
        p = add_part(s, field_arc);
        p->b = uniform(r, -0.9f, -0.2f);
        p->a = chance(r, 0.7f) ? 0 : uniform(r, -0.6f, 0.6f);
        p->r0 = uniform(r, 0.2f, 0.8f);
        p->r1 = uniform(r, 0.2f, 0.9f);
        p->c = uniform(r, 0.03f, 0.15f);
        p->d = p->b + uniform(r, 0, 0.4f);
    }
}

/* A body that is its own mirror image, with up to three pairs of limbs, notches and a cleft. */
static void shape_body(rng *r, struct shape *s)
{
    struct part *p = add_part(s, field_lathe);
    float wide = uniform(r, 0.3f, 0.8f), narrow = wide * uniform(r, 0.3f, 0.9f);
    curve_profile(r, p->curve[0], 2 + (int)rng_below(r, 5), narrow, wide);
    int limbs = 1 + (int)rng_below(r, 3);
    for (int k = 0; k < limbs; k++) {
        p = add_part(s, field_limb);
        p->mirrored = !chance(r, 0.15f);
        p->a = wide * uniform(r, 0, 0.9f);
        p->b = uniform(r, -0.9f, 0.9f);
        float angle = uniform(r, -0.25f, 0.3f) * tau, length = uniform(r, 0.3f, 1.6f);
        p->c = p->a + length * cosf(angle);
        p->d = p->b + length * sinf(angle);
        p->r0 = uniform(r, 0.08f, 0.35f);
        p->r1 = uniform(r, 0.04f, 0.3f);
    }
    if (chance(r, 0.4f)) { /* a notch at an end */
        float end = chance(r, 0.5f) ? -1 : 1;
        struct oval low = {0, end, wide * 0.1f, 0.05f}, high = {0, end, wide * 0.8f, 0.8f};
        add_superellipse(r, s, draw_oval(r, low, high));
        s->part[s->parts - 1].cut = 1;
    }
    if (chance(r, 0.3f)) { /* a cleft between two halves */
        p = add_part(s, field_limb);
        p->cut = 1;
        p->b = uniform(r, -0.9f, 0.6f);
        p->d = 1.2f;
        p->r0 = uniform(r, 0.01f, 0.1f);
        p->r1 = p->r0 + uniform(r, 0, 0.4f);
    }
}

static void place(rng *r, struct shape *s, float low, float high, float turn)
{
    float size = uniform(r, low, high), aspect = expf(uniform(r, -0.9f, 0.9f));
    float angle = chance(r, 0.6f)   ? turn * 0.04f * rng_normal(r)
                  : chance(r, 0.5f) ? turn * rng_normal(r) * 0.3f
                                    : turn * tau * rng_uniform(r);
    s->sx = fminf(size, size * aspect);
    s->sy = fminf(size, size / aspect);
    float reach = chance(r, 0.5f) ? 0.1f : 0.6f;
    s->cx = (1 - s->sx) * uniform(r, -reach, reach);
    s->cy = (1 - s->sy) * uniform(r, -reach, reach);
    s->cosine = cosf(angle);
    s->sine = sinf(angle);
    s->parts = 0;
}

static float shape_field(const struct shape *s, float u, float v)
{
    float field = 9;
    for (int k = 0; k < s->parts; k++) {
        const struct part *p = &s->part[k];
        float own = p->field(p, p->mirrored ? fabsf(u) : u, v);
        field = p->cut ? fmaxf(field, -own) : fminf(field, own);
    }
    return field;
}

/* Fill u, v, field and cover; soft is the width of the rim in pixels. */
static void cover_shape(struct canvas *c, const struct shape *s, float soft)
{
    float pixels = 0.5f * (float)c->side * fminf(s->sx, s->sy) / soft, step = 2.0f / (float)c->side;
    for (int i = 0; i < c->side; i++)
        for (int j = 0; j < c->side; j++) {
            int n = i * c->side + j;
            float x = ((float)j + 0.5f) * step - 1 - s->cx, y = ((float)i + 0.5f) * step - 1 - s->cy;
            c->u[n] = (s->cosine * x + s->sine * y) / s->sx;
            c->v[n] = (s->cosine * y - s->sine * x) / s->sy;
            c->field[n] = shape_field(s, c->u[n], c->v[n]);
            c->cover[n] = clamp01(0.5f - c->field[n] * pixels);
        }
}

/* ---- tones ---- */

static void tone_flat(struct canvas *c, float base, float other)
{
    (void)other;
    for (int n = 0; n < c->side * c->side; n++)
        c->tone[n] = base;
}

static void tone_gradient(struct canvas *c, float base, float other)
{
    float angle = tau * rng_uniform(&c->r), a = cosf(angle), b = sinf(angle);
    for (int n = 0; n < c->side * c->side; n++)
        c->tone[n] = base + (other - base) * clamp01(0.5f + 0.5f * (a * c->u[n] + b * c->v[n]));
}

static void tone_round(struct canvas *c, float base, float other)
{
    float middle = uniform(&c->r, -0.5f, 0.5f), flat = rng_uniform(&c->r) < 0.5f ? 0 : 1;
    for (int n = 0; n < c->side * c->side; n++)
        c->tone[n] = base + (other - base) * clamp01(square(c->u[n] - middle) + flat * square(c->v[n]));
}

static void tone_stripes(struct canvas *c, float base, float other)
{
    float angle = chance(&c->r, 0.6f) ? tau * 0.25f * (float)rng_below(&c->r, 2) : tau * rng_uniform(&c->r);
    float f = uniform(&c->r, 1, 8) * 0.5f * tau, a = f * cosf(angle), b = f * sinf(angle),
          phase = tau * rng_uniform(&c->r);
    float hard = chance(&c->r, 0.5f) ? 4 : 0.6f, duty = uniform(&c->r, -0.6f, 0.6f);
    for (int n = 0; n < c->side * c->side; n++)
        c->tone[n] = base + (other - base) * clamp01(0.5f + hard * (sinf(a * c->u[n] + b * c->v[n] + phase) + duty));
}

static void tone_checks(struct canvas *c, float base, float other)
{
    float a = uniform(&c->r, 1, 6) * 0.5f * tau, b = chance(&c->r, 0.6f) ? a : uniform(&c->r, 1, 6) * 0.5f * tau;
    float turn = chance(&c->r, 0.5f) ? 0 : 1, hard = uniform(&c->r, 0.7f, 4), blend = chance(&c->r, 0.5f) ? 0 : 0.5f;
    for (int n = 0; n < c->side * c->side; n++) {
        float p = sinf(a * (c->u[n] + turn * c->v[n])), q = sinf(b * (c->v[n] - turn * c->u[n]));
        c->tone[n] = base + (other - base) * clamp01(0.5f + hard * ((1 - blend) * p * q + blend * fmaxf(p, q)));
    }
}

/* Random values on a lattice over the frame, interpolated. */
static void tone_noise(struct canvas *c, float base, float other)
{
    float lattice[18][18], strength = uniform(&c->r, 0.6f, 2);
    int cells = 2 + (int)rng_below(&c->r, 15);
    for (int i = 0; i <= cells; i++)
        for (int j = 0; j <= cells; j++)
            lattice[i][j] = rng_uniform(&c->r);
    float step = (float)cells / (float)c->side;
    for (int i = 0; i < c->side; i++)
        for (int j = 0; j < c->side; j++) {
            float y = (float)i * step, x = (float)j * step;
            int p = (int)y, q = (int)x;
            float fy = y - (float)p, fx = x - (float)q;
            float top = lattice[p][q] + fx * (lattice[p][q + 1] - lattice[p][q]);
            float bottom = lattice[p + 1][q] + fx * (lattice[p + 1][q + 1] - lattice[p + 1][q]);
            float value = top + fy * (bottom - top);
            c->tone[i * c->side + j] = base + (other - base) * clamp01(0.5f + strength * (value - 0.5f));
        }
}

/* Lines of equal distance from the outline. */
static void tone_levels(struct canvas *c, float base, float other)
{
    float f = uniform(&c->r, 1, 6) * tau, hard = uniform(&c->r, 0.5f, 3), phase = tau * rng_uniform(&c->r);
    for (int n = 0; n < c->side * c->side; n++)
        c->tone[n] = base + (other - base) * clamp01(0.5f + hard * sinf(f * c->field[n] + phase));
}

static void choose_tone(struct canvas *c, float base, float other)
{
    static void (*const tones[])(struct canvas *, float, float) = {
        tone_flat,    tone_flat,   tone_gradient, tone_round, tone_round,
        tone_stripes, tone_checks, tone_noise,    tone_noise, tone_levels,
    };
    tones[rng_below(&c->r, sizeof tones / sizeof *tones)](c, base, other);
}

/* ---- painting ---- */

static void put(struct canvas *c, const float *cover, float opacity)
{
    for (int n = 0; n < c->side * c->side; n++)
        c->image[n] += opacity * cover[n] * (c->tone[n] - c->image[n]);
}

/* One detail inside the last shape: a line along its outline, a bent band, or the shape's part on one side of a line.
 */
static void put_detail(struct canvas *c)
{
    rng *r = &c->r;
    int kind = (int)rng_below(r, 4), pixels = c->side * c->side;
    float angle = chance(r, 0.6f) ? tau * 0.25f * (float)rng_below(r, 4) : tau * rng_uniform(r), a = cosf(angle),
          b = sinf(angle);
    float at = uniform(r, -0.9f, 0.9f), half = uniform(r, 0.02f, 0.25f),
          bend = chance(r, 0.5f) ? 0 : uniform(r, -0.6f, 0.6f);
    float rx = uniform(r, 0.08f, 0.5f), ry = uniform(r, 0.08f, 0.5f), inner = uniform(r, 0, 0.3f),
          rim = uniform(r, 0.03f, 0.15f);
    float side = (float)c->side * 0.3f;
    for (int n = 0; n < pixels; n++) {
        float along = a * c->u[n] + b * c->v[n], across = b * c->u[n] - a * c->v[n], d;
        if (kind == 0)
            d = fabsf(c->field[n] + inner) - rim;
        else if (kind == 1)
            d = fabsf(across - at - bend * along * along) - half;
        else if (kind == 2)
            d = at - along + bend * across * across;
        else
            d = sqrtf(square(along / rx - at * 2) + square(across / ry)) * fminf(rx, ry) - fminf(rx, ry);
        c->spare[n] = c->cover[n] * clamp01(0.5f - side * d);
    }
    float base = rng_uniform(r), other = rng_uniform(r);
    choose_tone(c, base, other);
    put(c, c->spare, uniform(r, 0.3f, 1));
}

static void put_shape(struct canvas *c, const struct shape *s, int details)
{
    rng *r = &c->r;
    cover_shape(c, s, chance(r, 0.8f) ? uniform(r, 0.7f, 1.5f) : uniform(r, 1.5f, 5));
    float base = chance(r, 0.75f) ? uniform(r, 0.35f, 1) : rng_uniform(r);
    float other = chance(r, 0.6f) ? base * uniform(r, 0.4f, 1) : rng_uniform(r);
    if (chance(r, 0.12f)) { /* only the outline */
        float half = uniform(r, 0.04f, 0.2f), sharp = 0.4f * (float)c->side * fminf(s->sx, s->sy);
        for (int n = 0; n < c->side * c->side; n++)
            c->cover[n] = clamp01(0.5f - sharp * (fabsf(c->field[n] + half) - half));
    }
    choose_tone(c, base, other);
    put(c, c->cover, 1);
    for (int k = 0; k < details; k++)
        put_detail(c);
}

typedef void make_shape(rng *, struct shape *);

/* One large shape; turn: how far it may be rotated. */
static void paint_shape(struct canvas *c, make_shape *make, float turn)
{
    struct shape s;
    place(&c->r, &s, 0.55f, 1, turn);
    make(&c->r, &s);
    put_shape(c, &s, chance(&c->r, 0.3f) ? 0 : 1 + (int)rng_below(&c->r, 3));
}

static void paint_silhouette(struct canvas *c)
{
    paint_shape(c, shape_silhouette, 0.5f);
}

static void paint_body(struct canvas *c)
{
    paint_shape(c, shape_body, 0.5f);
}

static void paint_contour(struct canvas *c)
{
    paint_shape(c, shape_contour, 1);
}

static void paint_superellipse(struct canvas *c)
{
    paint_shape(c, shape_superellipse, 0.5f);
}

/* Several small shapes, the later over the earlier. */
static void paint_scene(struct canvas *c)
{
    static make_shape *const makers[] = {shape_silhouette, shape_body, shape_contour, shape_superellipse};
    int count = 2 + (int)rng_below(&c->r, 4);
    for (int k = 0; k < count; k++) {
        struct shape s;
        place(&c->r, &s, 0.15f, 0.6f, 1);
        s.cx = uniform(&c->r, -0.8f, 0.8f);
        s.cy = uniform(&c->r, -0.8f, 0.8f);
        makers[rng_below(&c->r, sizeof makers / sizeof *makers)](&c->r, &s);
        put_shape(c, &s, (int)rng_below(&c->r, 2));
    }
}

/* The whole frame under one or two textures. */
static void paint_texture(struct canvas *c)
{
    struct shape s;
    place(&c->r, &s, 0.4f, 1, 1);
    add_superellipse(&c->r, &s, (struct oval){0, 0, 1, 1});
    cover_shape(c, &s, 1);
    int layers = 1 + (int)rng_below(&c->r, 2);
    for (int n = 0; n < c->side * c->side; n++)
        c->cover[n] = 1;
    for (int k = 0; k < layers; k++) {
        float base = rng_uniform(&c->r), other = rng_uniform(&c->r);
        choose_tone(c, base, other);
        put(c, c->cover, k ? 0.5f : 1);
    }
}

/* An iterated function system: random contractions, points of the attractor counted per pixel (Barnsley's chaos game).
 */
static void paint_fractal(struct canvas *c)
{
    rng *r = &c->r;
    int maps = 2 + (int)rng_below(r, 4), mirrored = chance(r, 0.4f), pixels = c->side * c->side;
    float m[5][6], x = 0, y = 0, low[2] = {9, 9}, high[2] = {-9, -9}, points[1200][2];
    for (int k = 0; k < maps; k++) {
        float p = tau * rng_uniform(r), q = tau * rng_uniform(r), s0 = uniform(r, 0.3f, 0.9f),
              s1 = s0 * uniform(r, 0.2f, 1);
        float cp = cosf(p), sp = sinf(p), cq = cosf(q), sq = sinf(q); /* rotation, scaling, rotation */
        m[k][0] = cp * s0 * cq - sp * s1 * sq;
        m[k][1] = -cp * s0 * sq - sp * s1 * cq;
        m[k][2] = sp * s0 * cq + cp * s1 * sq;
        m[k][3] = -sp * s0 * sq + cp * s1 * cq;
        m[k][4] = uniform(r, -1, 1);
        m[k][5] = uniform(r, -1, 1);
    }
    for (int n = -20; n < 1200; n++) {
        const float *a = m[rng_below(r, (uint32_t)maps)];
        float next = a[0] * x + a[1] * y + a[4];
        y = a[2] * x + a[3] * y + a[5];
        x = next;
        if (n < 0)
            continue;
        points[n][0] = x;
        points[n][1] = y;
        low[0] = fminf(low[0], x), high[0] = fmaxf(high[0], x);
        low[1] = fminf(low[1], y), high[1] = fmaxf(high[1], y);
    }
    memset(c->cover, 0, sizeof *c->cover * (size_t)pixels);
    float scale = uniform(r, 0.6f, 0.98f) * (float)c->side, most = uniform(r, 1, 6);
    for (int n = 0; n < 1200; n++) {
        float fx = (points[n][0] - low[0]) / (high[0] - low[0] + 1e-6f) - 0.5f;
        float fy = (points[n][1] - low[1]) / (high[1] - low[1] + 1e-6f) - 0.5f;
        int j = (int)(0.5f * (float)c->side + scale * fx), i = (int)(0.5f * (float)c->side + scale * fy);
        c->cover[i * c->side + j] += 1 / most;
        if (mirrored)
            c->cover[i * c->side + c->side - 1 - j] += 1 / most;
    }
    float base = uniform(r, 0.3f, 1), other = rng_uniform(r), step = 2.0f / (float)c->side;
    for (int n = 0; n < pixels; n++) {
        c->u[n] = (float)(n % c->side) * step - 1;
        c->v[n] = (float)(n / c->side) * step - 1;
        c->cover[n] = clamp01(c->cover[n]);
        c->field[n] = 0.5f - c->cover[n];
    }
    choose_tone(c, base, other);
    put(c, c->cover, 1);
}

/* ---- the ground and the camera ---- */

static void paint_ground(struct canvas *c)
{
    rng *r = &c->r;
    float kind = rng_uniform(r), step = 2.0f / (float)c->side;
    for (int n = 0; n < c->side * c->side; n++) {
        c->image[n] = 0;
        c->u[n] = (float)(n % c->side) * step - 1;
        c->v[n] = (float)(n / c->side) * step - 1;
        c->field[n] = c->u[n] * c->v[n];
    }
    if (kind < 0.7f)
        return;
    float base = rng_uniform(r), other = chance(r, 0.5f) ? base + uniform(r, -0.3f, 0.3f) : rng_uniform(r);
    if (kind < 0.82f)
        tone_flat(c, base, other);
    else if (kind < 0.9f)
        tone_gradient(c, base, other);
    else
        choose_tone(c, base, other);
    for (int n = 0; n < c->side * c->side; n++)
        c->image[n] = c->tone[n];
}

/* Binomial blur of part `amount`, along rows (step 1) or columns (step side). */
static void blur(struct canvas *c, float amount)
{
    int side = c->side;
    for (int pass = 0; pass < 2; pass++) {
        int step = pass ? side : 1;
        for (int i = 0; i < side; i++)
            for (int j = 0; j < side; j++) {
                int n = i * side + j, k = pass ? i : j;
                float before = c->image[k ? n - step : n], after = c->image[k + 1 < side ? n + step : n];
                c->spare[n] = c->image[n] + amount * 0.25f * (before + after - 2 * c->image[n]);
            }
        memcpy(c->image, c->spare, sizeof *c->image * (size_t)(side * side));
    }
}

static void camera(struct canvas *c)
{
    rng *r = &c->r;
    int blurs = chance(r, 0.5f) ? 0 : 1 + (int)rng_below(r, 2);
    for (int k = 0; k < blurs; k++)
        blur(c, rng_uniform(r));
    float gamma = chance(r, 0.5f) ? 1 : expf(uniform(r, -0.5f, 0.5f)),
          gain = chance(r, 0.5f) ? 1 : uniform(r, 0.4f, 1.2f);
    float noise = chance(r, 0.5f) ? 0 : uniform(r, 0, 0.05f);
    int inverted = chance(r, 0.08f);
    for (int n = 0; n < c->side * c->side; n++) {
        float value = clamp01(c->image[n]);
        if (gamma != 1)
            value = powf(value, gamma);
        value *= gain;
        if (noise > 0 && value > 0.02f) /* a black ground stays black */
            value += noise * (rng_uniform(r) + rng_uniform(r) - 1) * 2;
        c->image[n] = clamp01(inverted ? 1 - value : value);
    }
}

void formula_draw(uint64_t seed, uint64_t index, int side, float *image)
{
    static const struct {
        float until; /* of 1: cumulated shares of the families */
        void (*paint)(struct canvas *);
    } families[] = {{0.30f, paint_silhouette},   {0.58f, paint_body},    {0.73f, paint_contour},
                    {0.81f, paint_superellipse}, {0.90f, paint_fractal}, {0.96f, paint_scene},
                    {2.0f, paint_texture}};
    struct canvas c;
    c.side = side;
    c.r = rng_stream(seed, RNG_FORMULA, 0, (uint32_t)(index >> 32), (uint32_t)index);
    float pick = rng_uniform(&c.r);
    int family = 0;
    while (pick >= families[family].until)
        family++;
    paint_ground(&c);
    families[family].paint(&c);
    camera(&c);
    memcpy(image, c.image, sizeof *image * (size_t)(side * side));
}
