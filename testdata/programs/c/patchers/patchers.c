// A patcher for each way in which programs change code. A macro selects one.
#include "patchers.h"

#if defined(CALLS_BY_POINTER)
static void maintain_range(void *start, unsigned long size) { maintain(start, size); }
struct operations {
	int (*protect)(void *, unsigned long, int);
	void (*maintain)(void *, unsigned long);
} operations = { mprotect, maintain_range };
uint32_t own(uint32_t value) { return value * 3; }
void patcher(uint32_t word)
{
	uint32_t *code = (uint32_t *)own;
	operations.protect(page_of(code), 4096, 7);
	code[1] = word;
	operations.maintain(code + 1, 4);
	operations.protect(page_of(code), 4096, 5);
}
#elif defined(EXPORTED_MAINTENANCE)
OUT_OF_LINE void flush_code(char *start, unsigned long size)
{
	for (char *line = start; line < start + size; line += 64)
		__asm__ volatile("dc cvau, %0" : : "r"(line) : "memory");
	__asm__ volatile("dsb ish" : : : "memory");
	for (char *line = start; line < start + size; line += 64)
		__asm__ volatile("ic ivau, %0" : : "r"(line) : "memory");
	__asm__ volatile("dsb ish\n\tisb" : : : "memory");
}
void patcher(uint32_t *call, uint32_t word)
{
	*call = word;
	flush_code((char *)call, 4);
}
#elif defined(SECOND_MAPPING)
static uint32_t *writable, *executable;
int set_up(void)
{
	int file = memfd_create("code", 0);
	if (ftruncate(file, 1 << 20))
		return -1;
	writable = mmap(0, 1 << 20, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	executable = mmap(0, 1 << 20, PROT_READ | PROT_EXEC, MAP_SHARED, file, 0);
	return file;
}
void patcher(unsigned long slot, uint32_t word)
{
	writable[slot] = word;
	maintain(executable + slot, 4);
}
#elif defined(BRANCH_IN_AN_OBJECT)
struct exit { long number; uint32_t *branch; };
void patcher(struct exit *exit, long distance)
{
	*exit->branch = 0x14000000u | ((distance >> 2) & 0x3ffffff);
	maintain(exit->branch, 4);
}
#elif defined(LOADED_AND_CHANGED)
struct trace { long size; uint32_t *code; };
void patcher(struct trace *trace, long from, long by)
{
	uint32_t *word = trace->code + from;
	*word = (*word & 0xff00001fu) | (((uint32_t)by & 0x7ffff) << 5);
	maintain(trace->code, trace->size);
}
#elif defined(CHANGED_BY_A_CALLEE)
struct site { uint32_t *call; };
OUT_OF_LINE void set_target(uint32_t *call, long distance)
{
	*call = (*call & 0xfc000000u) | ((distance >> 2) & 0x3ffffff);
}
void patcher(struct site *site, long distance)
{
	uint32_t *call = site->call;
	set_target(call, distance);
	maintain(call, 4);
}
#elif defined(MESSAGE_TO_A_PROCESS)
#include <sys/uio.h>
struct peer { int process; };
long patcher(struct peer *peer, struct iovec *from, struct iovec *to)
{
	return process_vm_writev(peer->process, from, 1, to, 1, 0);
}
#elif defined(HOOK_BY_REMAINDER)
int patcher(char *target, void *replacement)
{
	long size = sysconf(_SC_PAGESIZE);
	char *page = target - (uintptr_t)target % size;
	uint32_t jump[4] = { 0x58000051, 0xd61f0220 };
	memcpy(jump + 2, &replacement, 8);
	if (mprotect(page, 2 * size, 7))
		return -1;
	memcpy(target, jump, sizeof(jump));
	maintain(target, sizeof(jump));
	return mprotect(page, 2 * size, 5);
}
#elif defined(PROCESS_MEMORY)
int patcher(void *address, uint32_t word)
{
	int file = open("/proc/self/mem", O_RDWR);
	long written = pwrite(file, &word, 4, (off_t)address);
	close(file);
	return written == 4 ? 0 : -1;
}
#elif defined(PROCESS_MEMORY_BY_SEEK)
int patcher(void *address, uint32_t word)
{
	int file = open("/proc/self/mem", O_WRONLY);
	if (file < 0 || lseek(file, (off_t)address, SEEK_SET) < 0)
		return -1;
	return write(file, &word, 4) == 4 ? 0 : -1;
}
#elif defined(READS_OWN_MEMORY)
long reader(void *address, void *to)
{
	int file = open("/proc/self/mem", O_RDONLY);
	return pread(file, to, 4, (off_t)address);
}
#elif defined(INLINE_MAINTENANCE)
uint32_t own(uint32_t value) { return value * 3; }
void patcher(uint32_t word)
{
	uint32_t *code = (uint32_t *)own;
	mprotect(page_of(code), 4096, 7);
	code[1] = word;
	inline_maintenance(code + 1);
	mprotect(page_of(code), 4096, 5);
#if defined(SYNCHRONISES)
	syscall(__NR_membarrier, SYNC_CORE, 0, 0);
#endif
}
void set_up(void) { syscall(__NR_membarrier, REGISTER_SYNC_CORE, 0, 0); }
#elif defined(WRAPPED_BARRIER)
uint32_t own(uint32_t value) { return value * 3; }
static OUT_OF_LINE int barrier(int command, unsigned flags, int cpu)
{
	return syscall(__NR_membarrier, command, flags, cpu);
}
void patcher(uint32_t word)
{
	uint32_t *code = (uint32_t *)own;
	mprotect(page_of(code), 4096, 7);
	code[1] = word;
	maintain(code + 1, 4);
	mprotect(page_of(code), 4096, 5);
	barrier(COMMAND, 0, 0);
}
void set_up(void) { barrier(REGISTER_SYNC_CORE, 0, 0); }
#elif defined(FRESH_CODE)
static char *cursor;
uint32_t *patcher(const uint32_t *template, unsigned long words)
{
	if (!cursor)
		cursor = mmap(0, 1 << 20, 7, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint32_t *code = (uint32_t *)cursor;
	for (unsigned long i = 0; i < words; i++)
		code[i] = template[i];
	maintain(code, words * 4);
	cursor += words * 4;
	return code;
}
#elif defined(LIST_OF_BLOCKS)
struct block { struct block *next; unsigned long size; } *blocks;
void *patcher(unsigned long size)
{
	struct block *block = mmap(0, size, 7, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	block->next = blocks;
	blocks = block;
	block->size = size;
	return block + 1;
}
void finished(void *start, unsigned long size) { maintain(start, size); }
#elif defined(BARRIER_FOR_DATA)
void *patcher(const void *template, unsigned long size)
{
	void *code = mmap(0, size, 7, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memcpy(code, template, size);
	maintain(code, size);
	return code;
}
void publish(void) { syscall(__NR_membarrier, DATA_BARRIER, 0, 0); }
#endif
