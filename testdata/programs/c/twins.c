/* Functions that differ only in their keys. */
#include "check.h"

#include <jlctl/jump_label.h>

static DEFINE_STATIC_KEY_FALSE(first_key);
static DEFINE_STATIC_KEY_FALSE(second_key);

C_NAME ALONE int first(void);
C_NAME ALONE int second(void);

int first(void)
{
	return static_branch_unlikely(&first_key) ? 1 : 0;
}

int second(void)
{
	return static_branch_unlikely(&second_key) ? 1 : 0;
}

int main(void)
{
	CHECK(first() == 0 && second() == 0);
	CHECK(static_branch_enable(&first_key) == 0);
	CHECK(first() == 1 && second() == 0);
	CHECK(static_branch_disable(&first_key) == 0);
	CHECK(static_branch_enable(&second_key) == 0);
	CHECK(first() == 0 && second() == 1);
	return verdict();
}
