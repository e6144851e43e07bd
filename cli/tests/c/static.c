/* A static program with sites and without a runtime. */
#include "two_keys.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Checks that the kernel's values on the stack are intact, and that the heap works. */
int main(int argc, char **argv)
{
	char *text = malloc(1 << 20);

	memset(text, 'x', 1 << 20);
	printf("seen: %d %d, %d arguments, %s, %c\n", off_value(), on_value(), argc - 1,
	       getenv("SAID") ? getenv("SAID") : "nothing", text[12345]);
	free(text);
	return argv[argc] == NULL ? 0 : 1;
}
