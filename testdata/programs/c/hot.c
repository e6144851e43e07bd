/* Equal functions, with a site and without. */
#include "check.h"

#include <jlctl/jump_label.h>

static DEFINE_STATIC_KEY_FALSE(off);
static DEFINE_STATIC_KEY_TRUE(on);

C_NAME ALONE void rare(int *value);
C_NAME ALONE void plain(int *value);
C_NAME ALONE void off_site(int *value);
C_NAME ALONE void on_site(int *value);

void rare(int *value)
{
	*value -= 1000;
}

void plain(int *value)
{
	*value ^= 21;
}

/* The straight path is that of a key that is off. */
void off_site(int *value)
{
	if (static_branch_unlikely(&off)) {
		rare(value);
		return;
	}
	*value ^= 21;
}

/* The straight path is that of a key that is on. */
void on_site(int *value)
{
	if (static_branch_likely(&on)) {
		*value ^= 21;
		return;
	}
	rare(value);
}

static int after(void (*function)(int *))
{
	int value = 5;

	function(&value);
	return value;
}

int main(void)
{
	CHECK(after(plain) == 16 && after(off_site) == 16 && after(on_site) == 16);
	CHECK(static_branch_enable(&off) == 0 && after(off_site) == -995);
	CHECK(static_branch_disable(&on) == 0 && after(on_site) == -995);
	return verdict();
}
