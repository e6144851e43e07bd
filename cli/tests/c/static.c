/* A static program with sites and without a runtime. */
#define JLSHIM_LATER
#include <jlctl/jump_label.h>

#include <stdio.h>
#include <stdlib.h>
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

/* The kernel's words on the stack are as they were, and there is memory behind the program. */
int main(int argc, char **argv)
{
	char *text = malloc(1 << 20);

	memset(text, 'x', 1 << 20);
	printf("seen: %d %d, %d arguments, %s, %c\n", off_value(), on_value(), argc - 1,
	       getenv("SAID") ? getenv("SAID") : "nothing", text[12345]);
	free(text);
	return argv[argc] == NULL ? 0 : 1;
}
