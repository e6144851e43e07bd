/* Keys of several files. */
#ifndef KEYS_H
#define KEYS_H

#include "check.h"

#include <jlctl/jump_label.h>

DECLARE_STATIC_KEY_FALSE(shared_off);
DECLARE_STATIC_KEY_TRUE(shared_on);

#ifdef __cplusplus
extern "C" {
#endif
ALONE int other_off(void);
ALONE int other_on(void);
#ifdef __cplusplus
}
#endif

/* One site in each function that it is inlined into. */
static inline __attribute__((always_inline)) int inlined(void)
{
	return static_branch_unlikely(&shared_off) ? 1 : 0;
}

#endif
