/* Sites of all kinds, in two files, as C and as C++. */
#include "keys.h"

static DEFINE_STATIC_KEY_FALSE(off);
static DEFINE_STATIC_KEY_TRUE(on);
DEFINE_STATIC_KEY_FALSE(shared_off);
DEFINE_STATIC_KEY_TRUE(shared_on);

C_NAME ALONE int off_unlikely(void);
C_NAME ALONE int off_likely(void);
C_NAME ALONE int on_unlikely(void);
C_NAME ALONE int on_likely(void);
C_NAME ALONE int in_function(int flip);
C_NAME ALONE int first_user(void);
C_NAME ALONE int second_user(int);

int off_unlikely(void)
{
	if (static_branch_unlikely(&off))
		return 1;
	return 0;
}

int off_likely(void)
{
	if (static_branch_likely(&off))
		return 1;
	return 0;
}

int on_unlikely(void)
{
	if (static_branch_unlikely(&on))
		return 1;
	return 0;
}

int on_likely(void)
{
	if (static_branch_likely(&on))
		return 1;
	return 0;
}

int in_function(int flip)
{
	static DEFINE_STATIC_KEY_FALSE(local);
	int was_on = static_branch_unlikely(&local) ? 1 : 0;

	if (flip && static_branch_inc(&local) != 0)
		return -1;
	return was_on;
}

int first_user(void)
{
	return inlined();
}

int second_user(int value)
{
	return inlined() ? value : 0;
}

static void check_off(int is_on)
{
	CHECK(static_key_enabled(&off) == is_on);
	CHECK(off_unlikely() == is_on);
	CHECK(off_likely() == is_on);
}

static void check_on(int is_on)
{
	CHECK(static_key_enabled(&on) == is_on);
	CHECK(on_unlikely() == is_on);
	CHECK(on_likely() == is_on);
}

static void check_shared(int is_off_on, int is_on_on)
{
	CHECK(first_user() == is_off_on);
	CHECK(second_user(7) == 7 * is_off_on);
	CHECK(other_off() == is_off_on);
	CHECK(other_on() == is_on_on);
}

int main(void)
{
	int round;

	for (round = 0; round < 3; round++) {
		check_off(0);
		check_on(1);
		check_shared(0, 1);
		CHECK(static_branch_enable(&off) == 0);
		check_off(1);
		CHECK(static_branch_disable(&on) == 0);
		check_on(0);
		CHECK(static_branch_enable_queued(&shared_off) == 0);
		CHECK(static_branch_disable_queued(&shared_on) == 0);
		check_shared(0, 1);
		CHECK(static_key_apply_queued() == 0);
		check_shared(1, 0);
		CHECK(static_branch_inc(&off) == 0);
		CHECK(static_key_count(&off.key) == 2);
		CHECK(static_branch_dec(&off) == 0 && static_branch_dec(&off) == 0);
		CHECK(static_branch_inc(&on) == 0);
		CHECK(static_branch_disable(&shared_off) == 0);
		CHECK(static_branch_enable(&shared_on) == 0);
		CHECK(in_function(1) == (round > 0));
		CHECK(in_function(0) == 1);
	}
	return verdict();
}
