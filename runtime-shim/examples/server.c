/*
 * A server that reverses lines, and traces them while a static key is on: server.rs in C.
 *
 * While the key is off, which is the common case, tracing costs one NOP per request.  A line on
 * the admin port flips the key under load.
 *
 *     $ cc -O2 server.c $(pkg-config --cflags --libs jlshim) -pthread -o server
 *     $ ./server
 *     requests on 127.0.0.1:40001, admin on 127.0.0.1:40002
 *     $ echo on | nc -N 127.0.0.1 40002
 *     on
 *
 * After that answer every request is traced, and after the answer to `off` no request is traced,
 * in all threads.  The answer to `count` is the number of traced requests.
 */
#include <arpa/inet.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <jlctl/jump_label.h>

static DEFINE_STATIC_KEY_FALSE(tracing);

static unsigned long traced;

__attribute__((cold)) static void trace(const char *request)
{
	unsigned long count = __atomic_add_fetch(&traced, 1, __ATOMIC_RELAXED);

	fprintf(stderr, "trace %lu: %s\n", count, request);
}

static void answer(char *line)
{
	size_t i, length = strlen(line);

	if (static_branch_unlikely(&tracing))
		trace(line);
	for (i = 0; i < length / 2; i++) {
		char c = line[i];

		line[i] = line[length - 1 - i];
		line[length - 1 - i] = c;
	}
}

enum { LINE = 1024 };

static void administer(char *line)
{
	int error = 0;

	if (strcmp(line, "on") == 0)
		error = static_branch_enable(&tracing);
	else if (strcmp(line, "off") == 0)
		error = static_branch_disable(&tracing);
	else if (strcmp(line, "count") == 0)
		snprintf(line, LINE, "%lu", __atomic_load_n(&traced, __ATOMIC_RELAXED));
	else
		strcpy(line, "on, off or count");
	if (error != 0) /* The key is unchanged. */
		snprintf(line, LINE, "error: %s", strerror(-error));
}

/* A port or a connection to it, and the function that handles its lines. */
struct service {
	int fd;
	void (*handle)(char *line);
};

static void *serve(void *argument)
{
	struct service service = *(struct service *)argument;
	FILE *from = fdopen(service.fd, "r");
	char line[LINE];

	free(argument);
	while (from != NULL && fgets(line, sizeof(line), from) != NULL) {
		line[strcspn(line, "\r\n")] = '\0';
		service.handle(line);
		if (dprintf(service.fd, "%s\n", line) < 0)
			break;
	}
	if (from != NULL)
		fclose(from);
	return NULL;
}

static void *accept_all(void *argument)
{
	struct service *port = argument;

	for (;;) {
		struct service *connection = malloc(sizeof(*connection));
		pthread_t thread;

		if (connection == NULL)
			return NULL;
		connection->handle = port->handle;
		connection->fd = accept(port->fd, NULL, NULL);
		if (connection->fd >= 0 && pthread_create(&thread, NULL, serve, connection) == 0) {
			pthread_detach(thread);
			continue;
		}
		perror("server");
		if (connection->fd >= 0)
			close(connection->fd);
		free(connection);
	}
}

/* Opens a port that the kernel chooses; -1 on an error. */
static int open_port(unsigned int *number)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	socklen_t length = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0 ||
	    listen(fd, SOMAXCONN) != 0 || getsockname(fd, (struct sockaddr *)&address, &length) != 0)
		return -1;
	*number = ntohs(address.sin_port);
	return fd;
}

int main(void)
{
	unsigned int request_port, admin_port;
	struct service requests = { open_port(&request_port), answer };
	struct service admin = { open_port(&admin_port), administer };
	pthread_t thread;

	if (requests.fd < 0 || admin.fd < 0 ||
	    pthread_create(&thread, NULL, accept_all, &admin) != 0) {
		perror("server");
		return 1;
	}
	signal(SIGPIPE, SIG_IGN);
	printf("requests on 127.0.0.1:%u, admin on 127.0.0.1:%u\n", request_port, admin_port);
	fflush(stdout);
	accept_all(&requests);
	return 1;
}
