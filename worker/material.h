/* worker/material.h - what a stage works on: the images it may see, cut into tasks, and the frozen backbone.
 *
 * Images are read, decoded, augmented and scaled by threads of their own, ahead of the network where the stage says what comes
 * next (material_soon()).
 *
 * Data sets and backbones are kept from one stage to the next, since a trainer runs many stages of one sweep: the caller borrows
 * them until the next material_open() or material_forget(). */
#ifndef WORKER_MATERIAL_H
#define WORKER_MATERIAL_H

#include "io/dataset.h"
#include "io/err.h"
#include "model/image.h"
#include "model/vit.h"
#include "sweeps/options.h"
#include "sweeps/sequence.h"
#include "worker/ahead.h"

struct material {
    const struct dataset *data;
    const struct vit_weights *backbone; /* shape with the trial's pool and norm */
    const struct image_pipeline *pipeline;
    /* dataset.transform from_cifar (methods.md Q7): the pipeline of some classes; NULL otherwise */
    const struct image_pipeline *later;
    uint8_t *is_later;           /* (C) whose images go through it; owned */
    int width;                   /* D of a feature */
    size_t *take[DATASET_PARTS]; /* (taken) indices of the images in use, in file order; owned */
    size_t taken[DATASET_PARTS];
    int threads;
    ahead *ahead; /* knows the material by its address: an open one stays where it is */
};

/* Open what the options name.  The stage's kind must declare backbone, dataset.* and feature.*.
 * ERR_MISSING, ERR_DAMAGED, ERR_DATA, ERR_SHAPE, ERR_NOMEM. */
int material_open(struct option_reader *options, struct material *out, err *e);
void material_close(struct material *m);
/* Drop what is kept from stage to stage. */
void material_forget(void);

/* With from_cifar: the pipeline becomes cifar at the first task that has a class of a CIFAR data set, and stays that.  A class is
 * one if its name says so: "cifar10/airplane".  Does nothing with other transforms, or a data set of another number of classes.
 * Before it, all images go through `pipeline`; material_use_later(): through `later`. */
void material_order(struct material *m, const struct class_sequence *s);
void material_use_later(struct material *m);
/* cifar (C): is it one?  later (C): does its task come with or after the first such? */
void material_cifar_classes(const struct material *m, uint8_t *cifar);
void material_later_classes(const uint8_t *cifar, const struct class_sequence *s, uint8_t *later);

/* The images in use whose class is in task t (of part), as positions in take[], in file order; malloc'd.
 * ERR_DATA if there are none. */
int material_of_task(const struct material *m, enum dataset_part part, const struct class_sequence *s, int task,
                     size_t **positions, size_t *count, err *e);

/* Network input for n images (n, 3, side, side); positions index take[].  augment NULL: test-time transform; otherwise image i
 * draws from the stream named by (seed, purpose, task, epoch, position).  ERR_DAMAGED names the image that cannot be decoded. */
int material_images(const struct material *m, enum dataset_part part, const size_t *positions, int n,
                    const struct augment *augment, float *out, err *e);
/* What will be asked for after the next material_images(): it is made while the network works on that one.  Saying nothing, or
 * something that does not come, costs time only. */
void material_soon(const struct material *m, enum dataset_part part, const size_t *positions, int n,
                   const struct augment *augment);
int32_t material_label(const struct material *m, enum dataset_part part, size_t position);

#endif
