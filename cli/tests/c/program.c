/* Sites without a runtime, unless one has been linked in: then the program flips its keys. */
#define _GNU_SOURCE
#define JLSHIM_LATER
#include <jlctl/jump_label.h>

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

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

int main(int argc, char **argv)
{
	int (*enable)(struct static_key *) =
		(int (*)(struct static_key *))dlsym(RTLD_DEFAULT, "jlshim_enable");
	int (*disable)(struct static_key *) =
		(int (*)(struct static_key *))dlsym(RTLD_DEFAULT, "jlshim_disable");
	int first, second;

	if (argc > 1 && strcmp(argv[1], "serve") == 0) { /* looks for each line */
		while (fgetc(stdin) == '\n') {
			printf("seen: %d %d\n", off_value(), on_value());
			fflush(stdout);
		}
		return 0;
	}
	if (argc > 1) { /* only looks */
		printf("seen: %d %d\n", off_value(), on_value());
		return 0;
	}
	if (enable == NULL || disable == NULL) {
		printf("no runtime: %d %d\n", off_value(), on_value());
		return 0;
	}
	first = enable(&off_key.key);
	second = disable(&on_key.key);
	printf("runtime: %d %d, then %d %d\n", first, second, off_value(), on_value());
	return 0;
}
