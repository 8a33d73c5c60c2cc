/* SPDX-License-Identifier: MIT */
#include "proxy.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

/* The test is both ends: a broker that listens, and its client behind the proxy. */
struct ends {
	struct kit_proxy *proxy;
	int listener, client, broker;
	atomic_uint seen[2]; /* by the tap: from the client, from the broker */
};

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static int connect_to(int port)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_port = htons((uint16_t)port),
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct timeval patience = { .tv_sec = 10 };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	return fd;
}

static void open_ends(struct ends *ends)
{
	struct timeval patience = { .tv_sec = 10 };

	ends->client = connect_to(kit_proxy_port(ends->proxy));
	ends->broker = accept(ends->listener, NULL, NULL);
	assert_true(ends->broker >= 0);
	setsockopt(ends->broker, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
}

static void tap(void *context, unsigned connection, bool from_broker, const void *bytes, size_t len)
{
	struct ends *ends = context;

	(void)connection;
	(void)bytes;
	atomic_fetch_add(&ends->seen[from_broker], (unsigned)len);
}

static int setup(void **state)
{
	struct ends *ends = calloc(1, sizeof *ends);
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof address;

	ends->listener = socket(AF_INET, SOCK_STREAM, 0);
	if (bind(ends->listener, (struct sockaddr *)&address, sizeof address) || listen(ends->listener, 8) ||
	    getsockname(ends->listener, (struct sockaddr *)&address, &len))
		return -1;
	ends->proxy = kit_proxy_start(0);
	kit_proxy_aim(ends->proxy, ntohs(address.sin_port));
	kit_proxy_set_tap(ends->proxy, tap, ends);
	ends->client = ends->broker = -1;
	*state = ends;
	return 0;
}

static int teardown(void **state)
{
	struct ends *ends = *state;

	close(ends->client);
	close(ends->broker);
	close(ends->listener);
	kit_proxy_stop(ends->proxy);
	free(ends);
	return 0;
}

static void say(int from, const char *words)
{
	assert_int_equal(send(from, words, strlen(words), MSG_NOSIGNAL), strlen(words));
}

static void hear(int at, const char *words)
{
	char text[64] = "";
	size_t got = 0;

	while (got < strlen(words)) {
		ssize_t n = recv(at, text + got, strlen(words) - got, 0);

		assert_true(n > 0);
		got += (size_t)n;
	}
	assert_string_equal(text, words);
}

static bool silent(int fd, int ms)
{
	struct pollfd pollfd = { .fd = fd, .events = POLLIN };

	return poll(&pollfd, 1, ms) == 0;
}

static void assert_reset(int fd)
{
	char byte;
	ssize_t n;

	do {
		n = recv(fd, &byte, 1, 0);
	} while (n > 0);
	assert_int_equal(n, -1);
	assert_int_equal(errno, ECONNRESET);
}

static void pass__both_ways__bytes_and_ends_arrive(void **state)
{
	struct ends *ends = *state;
	char byte;

	open_ends(ends);
	say(ends->client, "question");
	hear(ends->broker, "question");
	say(ends->broker, "answer");
	hear(ends->client, "answer");
	shutdown(ends->client, SHUT_WR);
	assert_int_equal(recv(ends->broker, &byte, 1, 0), 0);
	say(ends->broker, "late");
	hear(ends->client, "late");
	struct kit_proxy_figures figures = kit_proxy_figures(ends->proxy);
	assert_int_equal(figures.connections, 1);
	assert_int_equal(figures.open, 1);
	assert_int_equal(figures.to_broker, 8);
	assert_int_equal(figures.to_client, 10);
	assert_int_equal(atomic_load(&ends->seen[0]), 8);
	assert_int_equal(atomic_load(&ends->seen[1]), 10);
}

static void delay__both_ways__is_a_round_trip_later(void **state)
{
	struct ends *ends = *state;
	uint64_t since;

	open_ends(ends);
	kit_proxy_delay(ends->proxy, 60);
	since = now_ms();
	say(ends->client, "ping");
	hear(ends->broker, "ping");
	say(ends->broker, "pong");
	hear(ends->client, "pong");
	assert_in_range(now_ms() - since, 119, 5000);
	say(ends->client, "now");
	kit_proxy_pass(ends->proxy);
	hear(ends->broker, "now");
}

static void throttle__a_lot__takes_its_time(void **state)
{
	static char much[40000], got[40000];
	struct ends *ends = *state;
	size_t len = 0;
	uint64_t since;

	open_ends(ends);
	for (size_t i = 0; i < sizeof much; i++)
		much[i] = (char)(i * 7 + i / 256);
	kit_proxy_throttle(ends->proxy, 100000);
	since = now_ms();
	assert_int_equal(send(ends->client, much, sizeof much, MSG_NOSIGNAL), sizeof much);
	while (len < sizeof got) {
		ssize_t n = recv(ends->broker, got + len, sizeof got - len, 0);
		assert_true(n > 0);
		len += (size_t)n;
	}
	assert_in_range(now_ms() - since, 350, 5000);
	assert_memory_equal(got, much, sizeof much);
}

static void hole__connection_and_new_one__silent_until_passed(void **state)
{
	struct ends *ends = *state;
	int later;

	open_ends(ends);
	kit_proxy_hole(ends->proxy);
	say(ends->client, "first");
	later = connect_to(kit_proxy_port(ends->proxy));
	say(later, "second");
	assert_true(silent(ends->broker, 100));
	kit_proxy_pass(ends->proxy);
	hear(ends->broker, "first");
	close(ends->broker);
	ends->broker = accept(ends->listener, NULL, NULL);
	hear(ends->broker, "second");
	close(later);
}

static void reset__connection__both_sides_see_it(void **state)
{
	struct ends *ends = *state;

	open_ends(ends);
	say(ends->client, "before");
	hear(ends->broker, "before");
	kit_proxy_reset(ends->proxy);
	assert_reset(ends->client);
	assert_reset(ends->broker);
	close(ends->client);
	close(ends->broker);
	open_ends(ends);
	say(ends->client, "after");
	hear(ends->broker, "after");
	assert_int_equal(kit_proxy_figures(ends->proxy).resets, 1);
}

static void half_close__connection__client_sees_the_end_and_is_heard(void **state)
{
	struct ends *ends = *state;
	char byte;

	open_ends(ends);
	kit_proxy_half_close(ends->proxy);
	assert_int_equal(recv(ends->client, &byte, 1, 0), 0);
	say(ends->client, "still here");
	hear(ends->broker, "still here");
	say(ends->broker, "to nobody");
	close(ends->client);
	ends->client = -1;
	assert_int_equal(recv(ends->broker, &byte, 1, 0), 0);
}

static void cut__after_ten_bytes__not_one_more_arrives(void **state)
{
	struct ends *ends = *state;
	char text[32] = "";
	size_t len = 0;
	ssize_t n;

	open_ends(ends);
	kit_proxy_cut(ends->proxy, 10);
	say(ends->client, "0123456789abcdef");
	while ((n = recv(ends->broker, text + len, sizeof text - 1 - len, 0)) > 0)
		len += (size_t)n;
	assert_true(len <= 10);
	assert_memory_equal(text, "0123456789", len);
	assert_reset(ends->client);
}

static void refuse__new_connection__is_reset_and_old_one_lives(void **state)
{
	struct ends *ends = *state;
	int later;

	open_ends(ends);
	kit_proxy_refuse(ends->proxy);
	later = connect_to(kit_proxy_port(ends->proxy));
	assert_reset(later);
	close(later);
	say(ends->client, "alive");
	hear(ends->broker, "alive");
}

static void order__words__are_understood_or_not(void **state)
{
	struct ends *ends = *state;

	assert_true(kit_proxy_order(ends->proxy, "delay 10\n"));
	assert_true(kit_proxy_order(ends->proxy, "half-close"));
	assert_false(kit_proxy_order(ends->proxy, "delay"));
	assert_false(kit_proxy_order(ends->proxy, "reset 4"));
	assert_false(kit_proxy_order(ends->proxy, "explode"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(pass__both_ways__bytes_and_ends_arrive),
		TEST(delay__both_ways__is_a_round_trip_later),
		TEST(throttle__a_lot__takes_its_time),
		TEST(hole__connection_and_new_one__silent_until_passed),
		TEST(reset__connection__both_sides_see_it),
		TEST(half_close__connection__client_sees_the_end_and_is_heard),
		TEST(cut__after_ten_bytes__not_one_more_arrives),
		TEST(refuse__new_connection__is_reset_and_old_one_lives),
		TEST(order__words__are_understood_or_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
