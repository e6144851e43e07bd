/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Static keys for programs: branches that cost one NOP while their key is off, flipped
 * safely while other threads run.  C11 or C++17, GCC or Clang; Linux on aarch64, x86_64
 * and riscv64.  Link with libjlshim (pkg-config: jlshim).
 *
 *     static DEFINE_STATIC_KEY_FALSE(trace);
 *
 *     if (static_branch_unlikely(&trace))
 *         log_request(r);
 *     ...
 *     int error = static_branch_enable(&trace);    // 0, or a negative errno
 *
 * When a flip returns 0, every thread that is told of it afterwards (through an acquire
 * load) executes the new side.  Nothing aborts; an error leaves code and counts as they were.
 *
 * Sites refer to their key relative to themselves, so that a key and its sites have to be
 * in one executable or one shared object.  Keys without `static` are declared hidden in a
 * header by DECLARE_STATIC_KEY_*, which the file that defines them includes too.
 *
 * With JLSHIM_LATER defined there are keys and sites and no runtime: the program has no
 * constructor and needs no library, as long as it calls no function declared here, and
 * `jlctl link` gives the finished program its runtime.
 */
#ifndef JLCTL_JUMP_LABEL_H
#define JLCTL_JUMP_LABEL_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* An entry of the table: displacements in bytes, each from the field that holds it.  The low
 * bit of `key` is the branch sense, 1 for likely. */
struct jump_entry {
	int32_t code;
	int32_t target;
	int64_t key;
};

/* A key; `enabled` is how often it is enabled, and only read by static_key_count(). */
struct static_key {
	int32_t enabled;
	uint64_t type;
};

/* A key that is on, or off, to begin with: its sites are compiled for that. */
struct static_key_true {
	struct static_key key;
};

struct static_key_false {
	struct static_key key;
};

#define STATIC_KEY_TRUE_INIT { { 1, 1 } }
#define STATIC_KEY_FALSE_INIT { { 0, 0 } }

#define DEFINE_STATIC_KEY_TRUE(name) struct static_key_true name = STATIC_KEY_TRUE_INIT
#define DEFINE_STATIC_KEY_FALSE(name) struct static_key_false name = STATIC_KEY_FALSE_INIT
#define JLSHIM_HIDDEN __attribute__((visibility("hidden")))
#define DECLARE_STATIC_KEY_TRUE(name) extern JLSHIM_HIDDEN struct static_key_true name
#define DECLARE_STATIC_KEY_FALSE(name) extern JLSHIM_HIDDEN struct static_key_false name

/* ---- flipping ---- */

enum jlshim_kind {
	JLSHIM_ENABLE = 0,    /* 0 becomes 1 */
	JLSHIM_DISABLE = 1,   /* 1 becomes 0; -EBUSY where the count is higher */
	JLSHIM_INCREMENT = 2, /* -ERANGE where it cannot */
	JLSHIM_DECREMENT = 3  /* -EALREADY where it is 0 */
};

struct jlshim_op {
	struct static_key *key;
	uint32_t kind; /* enum jlshim_kind */
	uint32_t reserved; /* 0 */
};

/* What is not sound on every machine, and needs the program's word. */
enum jlshim_allowed {
	/* A synchronisation that only likely reaches the other threads' instruction fetch. */
	JLSHIM_ALLOW_BEST_EFFORT = 1,
	/* Writing code by /proc/self/mem, past policies against writable code. */
	JLSHIM_ALLOW_PROC_MEM = 2
};

struct jlshim_error {
	int32_t code;   /* a negative errno */
	uint32_t spare; /* 0 */
	uint64_t site;  /* address of the site it is about, or 0 */
	char message[240];
};

/* Applies `count` operations together, or none: one batch, one synchronisation.  `allowed`
 * adds to jlshim_allow(); `error` may be null.  0, or a negative errno. */
int jlshim_apply(const struct jlshim_op *ops, size_t count, unsigned int allowed,
		 struct jlshim_error *error);

/* The same, but -EAGAIN where another thread's batch is under way: for signal handlers. */
int jlshim_try_apply(const struct jlshim_op *ops, size_t count, unsigned int allowed,
		     struct jlshim_error *error);

/* This thread's queue: operations that static_key_apply_queued() applies together, or none
 * of them; it is empty afterwards. */
int static_key_enable_queued(struct static_key *key);
int static_key_disable_queued(struct static_key *key);
int static_key_apply_queued(void);

int jlshim_enable(struct static_key *key);
int jlshim_disable(struct static_key *key);
int jlshim_increment(struct static_key *key);
int jlshim_decrement(struct static_key *key);

static inline int static_key_enable(struct static_key *key)
{
	return jlshim_enable(key);
}

static inline int static_key_disable(struct static_key *key)
{
	return jlshim_disable(key);
}

static inline int static_key_slow_inc(struct static_key *key)
{
	return jlshim_increment(key);
}

static inline int static_key_slow_dec(struct static_key *key)
{
	return jlshim_decrement(key);
}

static inline int static_key_count(const struct static_key *key)
{
	return __atomic_load_n(&key->enabled, __ATOMIC_ACQUIRE);
}

#define static_key_enabled(x) (static_key_count(&(x)->key) != 0)
#define static_branch_enable(x) static_key_enable(&(x)->key)
#define static_branch_disable(x) static_key_disable(&(x)->key)
#define static_branch_inc(x) static_key_slow_inc(&(x)->key)
#define static_branch_dec(x) static_key_slow_dec(&(x)->key)
#define static_branch_enable_queued(x) static_key_enable_queued(&(x)->key)
#define static_branch_disable_queued(x) static_key_disable_queued(&(x)->key)

/* ---- the two steps of a patch, for who batches himself ---- */

enum jump_label_type {
	JUMP_LABEL_NOP = 0,
	JUMP_LABEL_JMP = 1
};

/* Writes one site; other threads may execute the old code until the apply.  1 where that
 * changed it, 0 where it was so already, or a negative errno. */
int jlshim_transform_queue(const struct jump_entry *entry, int type);
/* Synchronises all threads with all that was queued. */
int jlshim_transform_apply(void);

/* ---- settings and questions ---- */

/* Allows `allowed` (enum jlshim_allowed) for all batches, and nothing else. */
void jlshim_allow(unsigned int allowed);
/* Never calls membarrier again.  JLSHIM_NO_MEMBARRIER=1 in the environment does so before
 * the constructor has. */
void jlshim_forbid_membarrier(void);

/* 2: strict, 1: best effort, or a negative errno where a batch would be refused. */
int jlshim_sync_level(void);
/* The name of the method, or of why there is none. */
const char *jlshim_sync_method(void);

struct jlshim_counts {
	uint64_t batches;
	uint64_t failed_batches;
	uint64_t patches;
	uint64_t strict_syncs;
	uint64_t best_effort_syncs;
	uint64_t failed_syncs;
	uint64_t uncovered; /* patches that no strict synchronisation has covered */
	uint64_t forgotten; /* of those, the ones there was no room for */
	uint64_t open_pages; /* runs of pages that could not be closed again */
};

/* Fills `counts`.  With JLSHIM_REPORT=FILE in the environment all of it is written as JSON
 * at exit. */
int jlshim_report(struct jlshim_counts *counts);

struct jlshim_uncovered {
	uint64_t site;
	uint64_t key;
	const char *why; /* "queued", "sync-failed", "best-effort", "stale" */
};

/* Copies at most `count` patches that no strict synchronisation has covered; how many, or a
 * negative errno. */
int jlshim_uncovered(struct jlshim_uncovered *patches, size_t count);

/* ---- tables ---- */

/* A node of the list of tables; opaque. */
struct jlshim_object {
	uint64_t opaque[8];
};

/* What the constructor below calls, once for each executable or shared object. */
int jlshim_register(struct jlshim_object *object, const struct jump_entry *start,
		    const struct jump_entry *stop);
void jlshim_unregister(struct jlshim_object *object);

/* Registers the tables of libraries that `jlctl link` linked and that were opened since the
 * library's constructor or this was called last; how many it found.  Not in signal handlers. */
int jlshim_find_linked(void);

#ifdef __cplusplus
}
#endif

#ifndef JLSHIM_NO_SITES

#ifdef __cplusplus
extern "C" {
#endif

/* One of each for an executable or shared object: weak joins those of all files, hidden
 * keeps them from those of other objects.  The bounds are the linker's. */
#ifndef JLSHIM_LATER
extern const struct jump_entry __start___jump_table[] __attribute__((weak)) JLSHIM_HIDDEN;
extern const struct jump_entry __stop___jump_table[] __attribute__((weak)) JLSHIM_HIDDEN;
extern struct jlshim_object jlshim_own_object JLSHIM_HIDDEN;
__attribute__((weak)) struct jlshim_object jlshim_own_object;

__attribute__((constructor(101), used)) static void jlshim_attach(void)
{
	(void)jlshim_register(&jlshim_own_object, __start___jump_table, __stop___jump_table);
}

__attribute__((destructor(101), used)) static void jlshim_detach(void)
{
	jlshim_unregister(&jlshim_own_object);
}
#endif

#ifdef __cplusplus
}
#endif

/* The instructions of a site; see `runtime-shim/src/runtime/macros.rs` for each architecture's. */
#if defined(__x86_64__)
#define JLSHIM_SYMBOL "i"
#define JLSHIM_NUMBER_(operand) "%c" #operand
#define JLSHIM_NONE_ "R_X86_64_NONE"
#define JLSHIM_INSN_                                                                         \
	".p2align 3, , 4\n"                                                                  \
	".Ljlshim_site%=:\n"                                                                 \
	".if " JLSHIM_NUMBER_(2) "\n"                                                        \
	".byte 0xe9\n"                                                                       \
	".long %l[jlshim_yes] - . - 4\n"                                                     \
	".else\n"                                                                            \
	".byte 0x0f, 0x1f, 0x44, 0x00, 0x00\n"                                               \
	".endif\n"
#elif defined(__aarch64__)
/* "S": a symbol, in position-independent code too. */
#define JLSHIM_SYMBOL "S"
#define JLSHIM_NUMBER_(operand) "%c" #operand
#define JLSHIM_NONE_ "R_AARCH64_NONE"
#define JLSHIM_INSN_                                                                         \
	".Ljlshim_site%=:\n"                                                                 \
	".if " JLSHIM_NUMBER_(2) "\n"                                                        \
	"b %l[jlshim_yes]\n"                                                                 \
	".else\n"                                                                            \
	"nop\n"                                                                              \
	".endif\n"
#elif defined(__riscv) && __riscv_xlen == 64
/* The alignment comes before `norelax`, so that it survives what the linker relaxes before
 * the site. */
#define JLSHIM_SYMBOL "i"
#define JLSHIM_NUMBER_(operand) "%" #operand
#define JLSHIM_NONE_ "R_RISCV_NONE"
#define JLSHIM_INSN_                                                                         \
	".balign 4\n"                                                                        \
	".option push\n"                                                                     \
	".option norelax\n"                                                                  \
	".option norvc\n"                                                                    \
	".Ljlshim_site%=:\n"                                                                 \
	".if " JLSHIM_NUMBER_(2) "\n"                                                        \
	"jal x0, %l[jlshim_yes]\n"                                                           \
	".else\n"                                                                            \
	"nop\n"                                                                              \
	".endif\n"                                                                           \
	".option pop\n"
#else
#error "jlctl/jump_label.h supports aarch64, x86_64 and riscv64"
#endif

/* The entry, tied to its function by the section's `o` flag, so that both are kept or dropped
 * together, and by `?` to the group that its function may be in, since of an inline function
 * or a template all copies but one are dropped; and a relocation that does nothing but keep
 * the linker from folding functions that differ only in their keys. */
#define JLSHIM_ENTRY_                                                                        \
	".reloc .Ljlshim_site%=, " JLSHIM_NONE_ ", " JLSHIM_NUMBER_(0) "\n"                  \
	".pushsection __jump_table, \"ao?\", %%progbits, .Ljlshim_site%=\n"                  \
	".balign 8\n"                                                                        \
	".long .Ljlshim_site%= - .\n"                                                        \
	".long %l[jlshim_yes] - .\n"                                                         \
	".quad " JLSHIM_NUMBER_(0) " + " JLSHIM_NUMBER_(1) " - .\n"                          \
	".popsection"

/* 1 where the site jumped. */
#define JLSHIM_ASM_(x, branch)                                                               \
	__asm__ goto(JLSHIM_INSN_ JLSHIM_ENTRY_                                              \
		     :                                                                       \
		     : JLSHIM_SYMBOL(&(x)->key), "i"(branch), "i"((int)jlshim_jumps)         \
		     :                                                                       \
		     : jlshim_yes)
#if defined(__cplusplus) && defined(__clang__)
/* Clang refuses to jump within an expression of statements in C++. */
#define JLSHIM_SITE_(x, branch)                                                              \
	([]() __attribute__((always_inline)) -> int {                                        \
		enum { jlshim_jumps = JLSHIM_INITIALLY_(x) ^ (branch) };                     \
		JLSHIM_ASM_(x, branch);                                                      \
		return 0;                                                                    \
	jlshim_yes:                                                                          \
		return 1;                                                                    \
	}())
#else
#define JLSHIM_SITE_(x, branch)                                                              \
	__extension__({                                                                      \
		__label__ jlshim_yes;                                                        \
		enum { jlshim_jumps = JLSHIM_INITIALLY_(x) ^ (branch) };                     \
		int jlshim_taken = 1;                                                        \
		JLSHIM_ASM_(x, branch);                                                      \
		jlshim_taken = 0;                                                            \
	jlshim_yes:                                                                          \
		jlshim_taken;                                                                \
	})
#endif

/* Whether a key is on to begin with, by its type; an error for all other types. */
#ifdef __cplusplus
static constexpr int jlshim_initially(const struct static_key_true *) { return 1; }
static constexpr int jlshim_initially(const struct static_key_false *) { return 0; }
#define JLSHIM_INITIALLY_(x) jlshim_initially(x)
#else
#define JLSHIM_INITIALLY_(x)                                                                 \
	_Generic((x), struct static_key_true *: 1, struct static_key_false *: 0)
#endif

/* Whether the key `x` points to is on, which it mostly is, or is not. */
#define static_branch_likely(x) (__builtin_expect(!JLSHIM_SITE_(x, 1), 1))
#define static_branch_unlikely(x) (__builtin_expect(JLSHIM_SITE_(x, 0), 0))

#endif /* JLSHIM_NO_SITES */
#endif /* JLCTL_JUMP_LABEL_H */
