/* A plug-in with a separate table; NUMBER distinguishes two of them. */
#include "check.h"
#include "plugin.h"

#include <jlctl/jump_label.h>

static DEFINE_STATIC_KEY_FALSE(plugin_off);
static DEFINE_STATIC_KEY_TRUE(plugin_on);
static DEFINE_STATIC_KEY_FALSE(early);

C_NAME ALONE int plugin_value(void);
C_NAME int plugin_flip(int on);

/* Before the constructor of the header, and so before the table is registered. */
static void plugin_early(void)
{
	(void)static_branch_enable(&early);
}

static void (*plugin_constructor)(void) __attribute__((used, section(".init_array.00050"))) =
	plugin_early;

int plugin_value(void)
{
	int value = 0;

	if (static_branch_unlikely(&plugin_off))
		value += 1;
	if (static_branch_likely(&plugin_on))
		value += 10;
	if (static_branch_unlikely(&early))
		value += 100;
	return value;
}

int plugin_flip(int on)
{
	int error;

	if (on) {
		error = static_key_enable_queued(&plugin_off.key);
		error |= static_key_disable_queued(&plugin_on.key);
	} else {
		error = static_key_disable_queued(&plugin_off.key);
		error |= static_key_enable_queued(&plugin_on.key);
	}
	return error != 0 ? error : static_key_apply_queued();
}

#ifdef __cplusplus
extern "C" {
#endif
extern const struct plugin plugin;
const struct plugin plugin = { NUMBER, plugin_value, plugin_flip };
#ifdef __cplusplus
}
#endif
