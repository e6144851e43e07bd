/* Threads that write code and clear its caches, as a JIT does. */
#include <pthread.h>
#include <stdio.h>
#include <sys/mman.h>

/* Called by its symbol: GCC omits the builtin where it has no effect, as on x86-64. */
extern void clear_cache(void *start, void *end) __asm__("__clear_cache");

#define THREADS 4
#define CALLS 500

static void *page;

static void *work(void *argument)
{
	int i;

	for (i = 0; i < CALLS; i++)
		clear_cache(page, (char *)page + 4096);
	return argument;
}

int main(void)
{
	pthread_t threads[THREADS];
	int i;

	page = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		    0);
	if (page == MAP_FAILED)
		return 1;
	for (i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i], NULL, work, NULL) != 0)
			return 1;
	for (i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	puts("done");
	return 0;
}
