/* A library with a jump table and without a runtime. */
#define JLSHIM_LATER
#include <jlctl/jump_label.h>

static DEFINE_STATIC_KEY_FALSE(library_key);

struct static_key *library_address(void);
int library_value(void);

struct static_key *library_address(void)
{
	return &library_key.key;
}

int library_value(void)
{
	return static_branch_unlikely(&library_key) ? 1 : 0;
}
