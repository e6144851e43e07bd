/* Opens a plug-in whose key was flipped in its file, after flipping its own key. */
#include "check.h"
#include "plugin.h"

#include <dlfcn.h>

#include <jlctl/jump_label.h>

static DEFINE_STATIC_KEY_FALSE(key);

int main(int argc, char **argv)
{
	const struct plugin *plugin;
	struct jlshim_counts counts;
	void *handle;

	CHECK(argc == 2 && static_branch_enable(&key) == 0);
	handle = dlopen(argv[1], RTLD_NOW);
	plugin = handle == NULL ? NULL : (const struct plugin *)dlsym(handle, "plugin");
	CHECK(plugin != NULL);
	if (plugin != NULL) {
		/* `plugin_on` is off, and `early` on. */
		CHECK(plugin->value() == 100);
		CHECK(jlshim_report(&counts) == 0 && counts.uncovered == 0);
		CHECK(plugin->flip(1) == 0 && plugin->value() == 101);
		CHECK(plugin->flip(0) == 0 && plugin->value() == 110);
	}
	return verdict();
}
