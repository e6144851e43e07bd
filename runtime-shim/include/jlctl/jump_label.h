/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Static keys for programs: branches that cost one NOP while their key is off, and that can be
 * flipped safely while other threads run.  C11 or C++17, GCC or Clang; Linux on aarch64,
 * x86_64 and riscv64.  Link with libjlshim (pkg-config: jlshim).
 *
 *     static DEFINE_STATIC_KEY_FALSE(trace);
 *
 *     if (static_branch_unlikely(&trace))
 *         log_request(r);
 *     ...
 *     int error = static_branch_enable(&trace);    // 0, or a negative errno
 *
 * When a flip has returned 0, every thread that learns of it afterwards (through an acquire
 * load) executes the new side.  No function aborts the program.  On an error, code and counts
 * are unchanged.
 *
 * A site refers to its key relative to its own address, so that a key and its sites must be in
 * one executable or one shared object.  A key without `static` is declared in a header by
 * DECLARE_STATIC_KEY_*, which makes it hidden; the file that defines the key includes that
 * header too.
 *
 * If JLSHIM_LATER is defined, this header provides keys and sites, but no runtime: the program
 * has no constructor and needs no library, as long as it calls no function that is declared
 * here.  `jlctl link` adds the runtime to the finished program.
 */
#ifndef JLCTL_JUMP_LABEL_H
#define JLCTL_JUMP_LABEL_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A jump entry: displacements in bytes, each from the field that holds it.  The lowest bit of
 * `key` is the branch sense, 1 for likely. */
struct jump_entry {
	int32_t code;
	int32_t target;
	int64_t key;
};

/* A key.  `enabled` is the number of enables; read it by static_key_count() only. */
struct static_key {
	int32_t enabled;
	uint64_t type;
};

/* A key that is initially on, or off: its sites are compiled for that state. */
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
	JLSHIM_ENABLE = 0,    /* changes a count of 0 to 1, and leaves any other count */
	JLSHIM_DISABLE = 1,   /* changes a count of 1 to 0; -EBUSY if the count is higher */
	JLSHIM_INCREMENT = 2, /* adds 1; -ERANGE if the count is INT32_MAX */
	JLSHIM_DECREMENT = 3  /* subtracts 1; -EALREADY if the count is 0 */
};

struct jlshim_op {
	struct static_key *key;
	uint32_t kind; /* enum jlshim_kind */
	uint32_t reserved; /* 0 */
};

/* Methods that are not sound on every machine, and that the program must allow. */
enum jlshim_allowed {
	/* A synchronisation that reaches the instruction fetch of the other threads probably, but
	 * not certainly. */
	JLSHIM_ALLOW_BEST_EFFORT = 1,
	/* Writing code through /proc/self/mem, which bypasses policies against writable code. */
	JLSHIM_ALLOW_PROC_MEM = 2
};

struct jlshim_error {
	int32_t code;   /* a negative errno */
	uint32_t spare; /* 0 */
	uint64_t site;  /* address of the site that the error is about, or 0 */
	char message[240];
};

/* Applies `count` operations together or none of them: one batch, one synchronisation.
 * `allowed` (enum jlshim_allowed) adds to jlshim_allow().  `error` may be null.  Returns 0 or a
 * negative errno. */
int jlshim_apply(const struct jlshim_op *ops, size_t count, unsigned int allowed,
		 struct jlshim_error *error);

/* Likewise, but returns -EAGAIN while another batch is in progress: for signal handlers. */
int jlshim_try_apply(const struct jlshim_op *ops, size_t count, unsigned int allowed,
		     struct jlshim_error *error);

/* The queue of the calling thread: static_key_apply_queued() applies all queued operations
 * together or none of them, and empties the queue.  These functions return 0 or a negative
 * errno. */
int static_key_enable_queued(struct static_key *key);
int static_key_disable_queued(struct static_key *key);
int static_key_apply_queued(void);

/* Batches of one operation.  They return 0 or a negative errno. */
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

/* The number of enables; 0 is off.  An acquire load: stores made before a flip are visible after
 * it. */
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

/* ---- the two steps of a patch, for programs that batch patches themselves ---- */

enum jump_label_type {
	JUMP_LABEL_NOP = 0,
	JUMP_LABEL_JMP = 1
};

/* Writes one site so that it executes `type`, and does not change the count of its key.  Other
 * threads may execute the old code until jlshim_transform_apply() returns.  Returns 1 if the
 * site changed, 0 if it executes `type` already, or a negative errno. */
int jlshim_transform_queue(const struct jump_entry *entry, int type);
/* Synchronises all threads with every queued site.  Returns 0 or a negative errno. */
int jlshim_transform_apply(void);

/* ---- settings and queries ---- */

/* Allows the methods in `allowed` (enum jlshim_allowed), and no others, for all batches. */
void jlshim_allow(unsigned int allowed);
/* Makes the runtime never call membarrier(2) again.  The constructor has called it by then;
 * JLSHIM_NO_MEMBARRIER=1 in the environment prevents that call too. */
void jlshim_forbid_membarrier(void);

/* The synchronisation that a batch would use now.  Returns 2 if it is strict, 1 if it is best
 * effort, or a negative errno if a batch would be refused. */
int jlshim_sync_level(void);
/* The name of its method, or of the reason why there is none. */
const char *jlshim_sync_method(void);

struct jlshim_counts {
	uint64_t batches; /* batches that patched at least one site */
	uint64_t failed_batches; /* batches that were refused or rolled back */
	uint64_t patches; /* sites that were written */
	uint64_t strict_syncs;
	uint64_t best_effort_syncs;
	uint64_t failed_syncs;
	uint64_t uncovered; /* patches that no strict synchronisation has covered */
	uint64_t forgotten; /* of these, patches for which the list has no room */
	uint64_t open_pages; /* runs of pages whose protection could not be restored */
};

/* Fills in `counts`.  Returns 0 or a negative errno.  JLSHIM_REPORT=FILE in the environment writes
 * the whole report as JSON at exit. */
int jlshim_report(struct jlshim_counts *counts);

struct jlshim_uncovered {
	uint64_t site; /* address of the site */
	uint64_t key; /* address of its key */
	const char *why; /* "queued", "sync-failed", "best-effort", "stale" */
};

/* Copies at most `count` patches that no strict synchronisation has covered.  Returns their
 * number or a negative errno. */
int jlshim_uncovered(struct jlshim_uncovered *patches, size_t count);

/* ---- tables ---- */

/* The list node of an object with a jump table; opaque. */
struct jlshim_object {
	uint64_t opaque[8];
};

/* Registers the table from `start` to `stop`; the constructor below calls it.  A table that is
 * registered again counts once.  Returns 0 or a negative errno. */
int jlshim_register(struct jlshim_object *object, const struct jump_entry *start,
		    const struct jump_entry *stop);
/* Removes the table of `object`, after the batch of another thread has ended. */
void jlshim_unregister(struct jlshim_object *object);

/* Registers the tables of libraries that `jlctl link` has linked and that were opened since the
 * runtime's constructor or the last call.  Returns the number of these libraries.  Not for
 * signal handlers. */
int jlshim_find_linked(void);

#ifdef __cplusplus
}
#endif

#ifndef JLSHIM_NO_SITES

#ifdef __cplusplus
extern "C" {
#endif

/* Each executable or shared object has one of these symbols: `weak` merges the definitions of its
 * files, and `hidden` separates them from other objects.  The linker defines the bounds. */
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

/* The instructions of a site; `runtime-shim/src/runtime/macros.rs` explains each architecture. */
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
/* The alignment precedes `norelax`, so that it holds after the linker has relaxed the code before
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

/* The entry, and a relocation of type NONE.
 *
 * The section's `o` flag ties the entry to its function, so that the linker keeps or drops both
 * together.  `?` puts the entry into the section group of its function, since the linker drops all
 * copies but one of an inline function or a template.  The relocation keeps the linker from
 * folding functions that differ only in their keys. */
#define JLSHIM_ENTRY_                                                                        \
	".reloc .Ljlshim_site%=, " JLSHIM_NONE_ ", " JLSHIM_NUMBER_(0) "\n"                  \
	".pushsection __jump_table, \"ao?\", %%progbits, .Ljlshim_site%=\n"                  \
	".balign 8\n"                                                                        \
	".long .Ljlshim_site%= - .\n"                                                        \
	".long %l[jlshim_yes] - .\n"                                                         \
	".quad " JLSHIM_NUMBER_(0) " + " JLSHIM_NUMBER_(1) " - .\n"                          \
	".popsection"

/* The site: control reaches `jlshim_yes` if it jumps. */
#define JLSHIM_ASM_(x, branch)                                                               \
	__asm__ goto(JLSHIM_INSN_ JLSHIM_ENTRY_                                              \
		     :                                                                       \
		     : JLSHIM_SYMBOL(&(x)->key), "i"(branch), "i"((int)jlshim_jumps)         \
		     :                                                                       \
		     : jlshim_yes)
#if defined(__cplusplus) && defined(__clang__)
/* In C++, Clang does not allow a jump within a statement expression. */
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

/* Whether a key is initially on, by its type; an error for any other type. */
#ifdef __cplusplus
static constexpr int jlshim_initially(const struct static_key_true *) { return 1; }
static constexpr int jlshim_initially(const struct static_key_false *) { return 0; }
#define JLSHIM_INITIALLY_(x) jlshim_initially(x)
#else
#define JLSHIM_INITIALLY_(x)                                                                 \
	_Generic((x), struct static_key_true *: 1, struct static_key_false *: 0)
#endif

/* Whether the key to which `x` points is on: for a key that is mostly on, and for a key that is
 * mostly off. */
#define static_branch_likely(x) (__builtin_expect(!JLSHIM_SITE_(x, 1), 1))
#define static_branch_unlikely(x) (__builtin_expect(JLSHIM_SITE_(x, 0), 0))

#endif /* JLSHIM_NO_SITES */
#endif /* JLCTL_JUMP_LABEL_H */
