/* A worker with two static keys, which it never flips itself: the environment, a control socket
 * or `jlctl` does.  It works for a number of rounds, or for ever. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <jlctl/jump_label.h>

static DEFINE_STATIC_KEY_TRUE(greeting);
static DEFINE_STATIC_KEY_FALSE(trace);

static void work(int round)
{
	if (static_branch_unlikely(&trace))
		printf("round %d\n", round);
	usleep(1000);
}

int main(int argc, char **argv)
{
	int rounds = argc > 1 ? atoi(argv[1]) : -1;

	if (static_branch_likely(&greeting))
		puts("worker started");
	for (int round = 0; round != rounds; round++)
		work(round);
	return 0;
}
