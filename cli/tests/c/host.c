/* Opens a library, flips its key if the library brings a runtime, closes it and opens it again. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>

static int value(void *library)
{
	return ((int (*)(void))dlsym(library, "library_value"))();
}

int main(int argc, char **argv)
{
	void *library = argc == 2 ? dlopen(argv[1], RTLD_NOW | RTLD_GLOBAL) : NULL;
	int (*enable)(void *);
	int (*find)(void);

	if (library == NULL) {
		printf("%s\n", dlerror());
		return 2;
	}
	enable = (int (*)(void *))dlsym(RTLD_DEFAULT, "jlshim_enable");
	find = (int (*)(void))dlsym(RTLD_DEFAULT, "jlshim_find_linked");
	if (enable == NULL || find == NULL) {
		printf("no runtime: %d\n", value(library));
		return 0;
	}
	printf("found again: %d\n", find());
	printf("enable: %d\n", enable(((void *(*)(void))dlsym(library, "library_address"))()));
	printf("value: %d\n", value(library));
	dlclose(library);
	printf("stays: %d\n", dlopen(argv[1], RTLD_NOW | RTLD_NOLOAD) != NULL);
	return 0;
}
