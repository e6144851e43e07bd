/* Sites as the macros of the crate static-keys lay them out: entries of three displacements
 * of 8 bytes, keys of a flag and a pointer that is null until the program runs. */
#include <stdbool.h>
#include <stddef.h>

struct key {
	const void *entries;
	bool enabled;
};

struct key on_key = { NULL, true };
struct key off_key = { NULL, false };

#if defined(__x86_64__)
#define NOP ".byte 0x0f, 0x1f, 0x44, 0x00, 0x00\n"
#define JUMP ".byte 0xe9\n.long %l[yes] - . - 4\n"
#define SYMBOL "i"
#else
#define NOP "nop\n"
#define JUMP "b %l[yes]\n"
#define SYMBOL "S"
#endif

#define SITE(insn, key, likely)                                                              \
	__asm__ goto("2:\n" insn ".pushsection __static_keys, \"aw\", %%progbits\n"         \
		     ".balign 8\n.quad 2b - .\n.quad %l[yes] - .\n.quad %c0 + %c1 - .\n"     \
		     ".popsection"                                                           \
		     :                                                                       \
		     : SYMBOL(&(key)), "i"(likely)                                           \
		     :                                                                       \
		     : yes)

__attribute__((noinline)) static int on_value(void)
{
	SITE(NOP, on_key, 1);
	return 1;
yes:
	return 2;
}

__attribute__((noinline)) static int off_value(void)
{
	SITE(NOP, off_key, 0);
	return 1;
yes:
	return 2;
}

__attribute__((noinline)) static int off_likely_value(void)
{
	SITE(JUMP, off_key, 1);
	return 1;
yes:
	return 2;
}

int main(void)
{
	return on_value() + off_value() + off_likely_value() == 4 ? 0 : 1;
}
