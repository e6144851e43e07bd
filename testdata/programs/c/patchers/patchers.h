// What the patchers share. Each is built as a shared library for arm64 and linted.
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define OUT_OF_LINE __attribute__((noinline))
#define SYNC_CORE 32
#define REGISTER_SYNC_CORE 64
#define DATA_BARRIER 8

static inline void maintain(void *start, unsigned long size)
{
	__builtin___clear_cache((char *)start, (char *)start + size);
}

static inline void *page_of(void *address)
{
	return (void *)((uintptr_t)address & ~UINT64_C(4095));
}

static inline void inline_maintenance(void *address)
{
	__asm__ volatile("dc cvau, %0\n\tdsb ish\n\tic ivau, %0\n\tdsb ish\n\tisb"
			 : : "r"(address) : "memory");
}
