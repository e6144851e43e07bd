/* A key without a site: the program has no table. */
#include "check.h"

#include <jlctl/jump_label.h>

static DEFINE_STATIC_KEY_FALSE(key);

int main(void)
{
	struct jlshim_counts counts;

	CHECK(static_branch_enable(&key) == 0 && static_key_enabled(&key));
	CHECK(static_branch_disable(&key) == 0 && !static_key_enabled(&key));
	CHECK(jlshim_report(&counts) == 0 && counts.patches == 0);
	return verdict();
}
