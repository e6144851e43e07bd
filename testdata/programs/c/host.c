/* Opens two plug-ins with separate tables; the host has a table too. */
#include "check.h"
#include "plugin.h"

#include <dlfcn.h>
#include <stdlib.h>

#include <jlctl/jump_label.h>

static DEFINE_STATIC_KEY_FALSE(host_key);

C_NAME ALONE int host_value(void);

int host_value(void)
{
	return static_branch_unlikely(&host_key) ? 1 : 0;
}

static void *load(const char *path, const struct plugin **plugin)
{
	void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);

	if (handle == NULL) {
		fprintf(stderr, "%s\n", dlerror());
		exit(2);
	}
	*plugin = (const struct plugin *)dlsym(handle, "plugin");
	CHECK(*plugin != NULL);
	return handle;
}

static void unload(void *handle, const char *path)
{
	CHECK(dlclose(handle) == 0);
	/* The plug-in is unloaded. */
	CHECK(dlopen(path, RTLD_NOW | RTLD_NOLOAD) == NULL);
}

static void flip_host(int on)
{
	CHECK((on ? static_branch_enable(&host_key) : static_branch_disable(&host_key)) == 0);
	CHECK(host_value() == on);
}

static void flip(const struct plugin *plugin, int on)
{
	CHECK(plugin->flip(on) == 0);
	CHECK(plugin->value() == (on ? 101 : 110));
}

static void play(const char *first_path, const char *second_path)
{
	const struct plugin *first, *second;
	void *first_handle = load(first_path, &first);
	void *second_handle;

	/* The initial states, independent of flips in an earlier load; but `early` is on. */
	CHECK(first->number == 1 && first->value() == 110);
	flip(first, 1);
	flip_host(1);
	second_handle = load(second_path, &second);
	CHECK(second->number == 2 && second->value() == 110);
	CHECK(first->value() == 101);
	flip(second, 1);
	flip(first, 0);
	CHECK(second->value() == 101);
	unload(first_handle, first_path);
	flip_host(0);
	flip(second, 0);
	flip(second, 1);
	unload(second_handle, second_path);
	flip_host(1);
	flip_host(0);
}

int main(int argc, char **argv)
{
	struct jlshim_counts counts;
	int round;

	CHECK(argc == 3 && host_value() == 0);
	for (round = 0; round < 4; round++)
		play(argv[1], argv[2]);
	CHECK(jlshim_report(&counts) == 0);
	CHECK(counts.batches >= 16 && counts.failed_batches == 0);
	CHECK(counts.uncovered == 0 && counts.open_pages == 0);
	return verdict();
}
