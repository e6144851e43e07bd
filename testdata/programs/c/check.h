/* Checks that continue after a failure, and functions that are not inlined. */
#ifndef CHECK_H
#define CHECK_H

#include <stdio.h>

#if defined(__GNUC__) && !defined(__clang__)
#define ALONE __attribute__((noipa))
#else
#define ALONE __attribute__((noinline))
#endif

#ifdef __cplusplus
#define C_NAME extern "C"
#else
#define C_NAME
#endif

static int failures;

#define CHECK(condition)                                                       \
	do {                                                                   \
		if (!(condition)) {                                            \
			printf("line %d: %s\n", __LINE__, #condition);         \
			failures++;                                            \
		}                                                              \
	} while (0)

/* The exit status. */
static inline int verdict(void)
{
	if (failures == 0)
		puts("ok");
	return failures != 0;
}

#endif
