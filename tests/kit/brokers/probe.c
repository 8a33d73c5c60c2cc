/* SPDX-License-Identifier: MIT */
#include "probe.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

static int connect_to(int port)
{
	const struct timeval limit = { .tv_sec = 2 };
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	if (!connect(fd, (struct sockaddr *)&a, sizeof(a)))
		return fd;
	close(fd);
	return -1;
}

/* Sends a request and reads this many bytes of its answer. */
static bool exchange(int port, const void *request, size_t request_len, void *answer, size_t answer_len)
{
	int fd = connect_to(port);
	bool ok = fd >= 0 && send(fd, request, request_len, MSG_NOSIGNAL) == (ssize_t)request_len &&
		  recv(fd, answer, answer_len, MSG_WAITALL) == (ssize_t)answer_len;

	if (fd >= 0)
		close(fd);
	return ok;
}

/*
 * Metadata request, version 4 (Kafka protocol guide, API key 3), for no topic.
 * The answer: size, correlation id, throttle time, number of brokers, the first
 * broker's id. A broker which the controller has not let in yet names none.
 */
bool kit_probe_kafka(int port, const char *user, const char *password)
{
	static const unsigned char request[] = {
		0, 0, 0,   18,       /* size of what follows */
		0, 3, 0,   4,        /* API key, version */
		0, 0, 0,   1,        /* correlation id */
		0, 3, 'k', 'i', 't', /* client id */
		0, 0, 0,   0,        /* topics: none */
		0,                   /* no automatic creation */
	};
	unsigned char answer[20];

	(void)user, (void)password;
	return exchange(port, request, sizeof(request), answer, sizeof(answer)) && answer[15] == 1 && answer[19] == 1;
}

/* The protocol header is answered by connection.start, a method frame (type 1);
 * a server which does not serve yet answers nothing or closes. */
bool kit_probe_rabbitmq(int port, const char *user, const char *password)
{
	unsigned char answer;

	(void)user, (void)password;
	return exchange(port, "AMQP\0\0\x09\x01", 8, &answer, 1) && answer == 1;
}

static size_t put_string(unsigned char *to, const char *text)
{
	size_t n = strlen(text);

	to[0] = (unsigned char)(n >> 8);
	to[1] = (unsigned char)n;
	memcpy(to + 2, text, n);
	return n + 2;
}

/* MQTT 3.1.1 CONNECT with an empty client id and a clean session (section 3.1);
 * CONNACK with return code 0. */
bool kit_probe_mosquitto(int port, const char *user, const char *password)
{
	unsigned char packet[128] = { 0x10, 0, 0, 4, 'M', 'Q', 'T', 'T', 4, 2, 0, 60, 0, 0 };
	unsigned char answer[4];
	size_t n = 14;

	if (user && password && strlen(user) + strlen(password) < 100) {
		packet[9] |= 0xc0;
		n += put_string(packet + n, user);
		n += put_string(packet + n, password);
	}
	packet[1] = (unsigned char)(n - 2);
	return exchange(port, packet, n, answer, sizeof(answer)) && answer[0] == 0x20 && answer[3] == 0;
}
