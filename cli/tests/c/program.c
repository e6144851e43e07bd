/* A program with sites, which flips its keys if a runtime has been linked in. */
#define _GNU_SOURCE
#include "two_keys.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
	int (*enable)(struct static_key *) =
		(int (*)(struct static_key *))dlsym(RTLD_DEFAULT, "jlshim_enable");
	int (*disable)(struct static_key *) =
		(int (*)(struct static_key *))dlsym(RTLD_DEFAULT, "jlshim_disable");
	int first, second;

	if (argc > 1 && strcmp(argv[1], "serve") == 0) { /* prints its keys for each line */
		while (fgetc(stdin) == '\n') {
			printf("seen: %d %d\n", off_value(), on_value());
			fflush(stdout);
		}
		return 0;
	}
	if (argc > 1) { /* prints its keys */
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
