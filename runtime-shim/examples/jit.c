/* A code generator that keeps one function and rewrites its first instruction in place: other
 * threads may go on executing the old one. */
#include <stdint.h>
#include <sys/mman.h>
#ifdef SYNCHRONISES
#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

void redirect(uint32_t *code, uint32_t branch)
{
	void *page = (void *)((uintptr_t)code & ~UINT64_C(4095));

	mprotect(page, 4096, PROT_READ | PROT_WRITE | PROT_EXEC);
	*code = branch;
	mprotect(page, 4096, PROT_READ | PROT_EXEC);
	__builtin___clear_cache((char *)code, (char *)(code + 1));
#ifdef SYNCHRONISES
	syscall(__NR_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE, 0, 0);
#endif
}

#ifdef SYNCHRONISES
void start(void)
{
	syscall(__NR_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE, 0, 0);
}
#endif
