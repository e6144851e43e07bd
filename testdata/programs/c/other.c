/* Sites whose keys another file defines. */
#include "keys.h"

int other_off(void)
{
	return static_branch_likely(&shared_off) ? 1 : 0;
}

int other_on(void)
{
	return static_branch_unlikely(&shared_on) ? 1 : 0;
}
