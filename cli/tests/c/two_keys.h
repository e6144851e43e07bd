/* Two keys with a site each, and no runtime. */
#define JLSHIM_LATER
#include <jlctl/jump_label.h>

static DEFINE_STATIC_KEY_FALSE(off_key);
DEFINE_STATIC_KEY_TRUE(on_key);

__attribute__((noinline)) static int off_value(void)
{
	return static_branch_unlikely(&off_key) ? 1 : 0;
}

__attribute__((noinline)) static int on_value(void)
{
	return static_branch_likely(&on_key) ? 1 : 0;
}
