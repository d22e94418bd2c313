/* SPDX-License-Identifier: GPL-2.0 */
/* What fakexl.c does with the nodes of the backend that was chosen last. */
#ifndef FAKEXL_H
#define FAKEXL_H

#include <stdbool.h>

struct xs_handle;

extern struct xs_handle *xs;
extern char backend[128];

void choose(const char *vbd);
/* The node of the backend, which is valid until the next call. */
char *path(const char *node);
void set(const char *node, const char *value);
/* Is there such a node and, unless WANTED is NULL, has it this value? */
bool is(const char *node, const char *wanted);
/* The file that says which disk the driver has. */
const char *held_file(void);
void create(const char *target, const char *mode, char *more[]);
void settle(void);
void gone(void);
void wait_for(const char *what, bool (*condition)(void));

/* each_call.c */
void each_call(const char *what, const char *interfere, const char *program,
               const char *target, const char *script);

#endif
