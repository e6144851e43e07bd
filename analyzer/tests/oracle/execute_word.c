/*
 * Executes single A64 words and reports what each did: the oracle of the semantics.
 *
 * Standard input: the contents of the window, then records. Each record is answered on standard
 * output. A word runs between a signal handler that sets all registers on its return, and the
 * breakpoint behind the word, which enters that handler again. Whatever else the word raises
 * enters it too: that the word traps is an answer.
 *
 * The handler may call only functions that are safe there; the word may have changed what the
 * procedure call standard keeps, but nothing else of the program.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

/* As in emulator.rs. */
#define CODE 0x2000000000
#define WINDOW (CODE + 0x40000)
#define WINDOW_BYTES 2048
#define PAGE 4096

#define BRK 0xd4200000

struct record {
	/* The word before the word: NOP, or one that prepares it. */
	uint32_t before;
	uint32_t word;
	uint64_t x[31];
	uint64_t sp;
	/* In bits 31:28, as in PSTATE. */
	uint64_t nzcv;
};

struct answer {
	uint64_t signal;
	uint64_t pc;
	uint64_t x[31];
	uint64_t sp;
	uint64_t nzcv;
	unsigned char window[WINDOW_BYTES];
};

static unsigned char contents[WINDOW_BYTES];
static char stack[1 << 18];
static uint64_t thread_pointer;
static int started, busy;

static void write_all(const void *from, size_t bytes)
{
	const char *at = from;

	while (bytes > 0) {
		ssize_t count = write(1, at, bytes);

		if (count <= 0)
			_exit(2);
		at += count;
		bytes -= count;
	}
}

/* Whether there is something to read; half a record is an error. */
static int read_all(void *to, size_t bytes)
{
	static char buffer[1 << 16];
	static size_t begin, end;
	char *at = to;
	size_t wanted = bytes;

	while (wanted > 0) {
		size_t count;

		if (begin == end) {
			ssize_t got = read(0, buffer, sizeof(buffer));

			if (got < 0 || (got == 0 && wanted < bytes))
				_exit(3);
			if (got == 0)
				return 0;
			begin = 0;
			end = got;
		}
		count = end - begin < wanted ? end - begin : wanted;
		memcpy(at, buffer + begin, count);
		at += count;
		begin += count;
		wanted -= count;
	}
	return 1;
}

static void handler(int signal, siginfo_t *info, void *context)
{
	static struct answer answer;
	static struct record record;
	mcontext_t *state = &((ucontext_t *)context)->uc_mcontext;
	volatile uint32_t *code = (uint32_t *)CODE;

	(void)info;
	/* The word may be a write of this register. */
	__asm__ volatile("msr tpidr_el0, %0" : : "r"(thread_pointer));
	/* A fault of the handler itself. */
	if (busy)
		_exit(4);
	busy = 1;
	if (started) {
		answer.signal = signal;
		answer.pc = state->pc;
		memcpy(answer.x, state->regs, sizeof(answer.x));
		answer.sp = state->sp;
		answer.nzcv = state->pstate & 0xf0000000;
		memcpy(answer.window, (void *)WINDOW, WINDOW_BYTES);
		write_all(&answer, sizeof(answer));
	}
	started = 1;
	if (!read_all(&record, sizeof(record)))
		_exit(0);
	memcpy((void *)WINDOW, contents, WINDOW_BYTES);
	code[0] = record.before;
	code[1] = record.word;
	code[2] = BRK;
	__builtin___clear_cache((char *)CODE, (char *)CODE + 12);
	memcpy(state->regs, record.x, sizeof(record.x));
	state->sp = record.sp;
	state->pstate = record.nzcv;
	state->pc = CODE;
	busy = 0;
}

static int map(uint64_t at, int protection)
{
	void *wanted = (void *)at;
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;

	return mmap(wanted, PAGE, protection, flags, -1, 0) == wanted;
}

int main(void)
{
	const int signals[] = { SIGTRAP, SIGILL, SIGSEGV, SIGBUS, SIGFPE };
	const stack_t alternate = { .ss_sp = stack, .ss_size = sizeof(stack) };
	struct sigaction action = { .sa_sigaction = handler };
	unsigned int i;

	__asm__("mrs %0, tpidr_el0" : "=r"(thread_pointer));
	if (!map(CODE, PROT_READ | PROT_WRITE | PROT_EXEC) || !map(WINDOW, PROT_READ | PROT_WRITE))
		return 5;
	if (!read_all(contents, sizeof(contents)))
		return 6;
	action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
	sigaltstack(&alternate, NULL);
	for (i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		sigaction(signals[i], &action, NULL);
	raise(SIGTRAP);
	return 7;
}
