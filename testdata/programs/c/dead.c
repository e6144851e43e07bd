/* A function without callers, whose site is the only user of a key. */
#include "check.h"

#include <jlctl/jump_label.h>

static DEFINE_STATIC_KEY_FALSE(live_key);
DEFINE_STATIC_KEY_FALSE(dead_key);

C_NAME ALONE int live(void);
C_NAME ALONE int dead(void);

int live(void)
{
	return static_branch_unlikely(&live_key) ? 1 : 0;
}

int dead(void)
{
	return static_branch_unlikely(&dead_key) ? 1 : 0;
}

int main(void)
{
	CHECK(live() == 0);
	CHECK(static_branch_enable(&live_key) == 0);
	CHECK(live() == 1);
	return verdict();
}
