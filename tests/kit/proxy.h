/* SPDX-License-Identifier: MIT */
#ifndef POSTA_TESTS_KIT_PROXY_H
#define POSTA_TESTS_KIT_PROXY_H

/*
 * A TCP proxy on a free loopback port in front of a broker, which does to its
 * connections what networks do. It has a thread and a libev loop of its own;
 * every call here returns when the loop has done it.
 *
 * Delay, throttle and hole keep each byte and its order, as TCP would; reset and
 * cut lose what is under way. They are in force until kit_proxy_pass().
 *
 * Kafka tells its clients where to connect, so it has to be told the proxy's
 * address first: kit_proxy_start(0), "advertised.listeners=PLAINTEXT://127.0.0.1:P"
 * in the broker's config, kit_proxy_aim().
 *
 * Thread: one proxy is used by one thread at a time.
 * Errors: none are returned; what cannot be done ends the program.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct kit_proxy;

/* port: of the broker, 0 if that is not known yet. Returns: owned, kit_proxy_stop() */
struct kit_proxy *kit_proxy_start(int port);
void kit_proxy_aim(struct kit_proxy *proxy, int port);
int kit_proxy_port(const struct kit_proxy *proxy);
/* Resets all connections. NULL: fine. */
void kit_proxy_stop(struct kit_proxy *proxy);

/* No fault is in force any more. */
void kit_proxy_pass(struct kit_proxy *proxy);
/* Each byte arrives so much later, both ways. */
void kit_proxy_delay(struct kit_proxy *proxy, unsigned ms);
/* So many bytes a second, for each connection and each way. */
void kit_proxy_throttle(struct kit_proxy *proxy, unsigned bytes_per_second);
/* Nothing is read or written; new connections are accepted and are silent. */
void kit_proxy_hole(struct kit_proxy *proxy);
/* Each connection, also new ones, is reset when so many more bytes have gone through it, both ways together. */
void kit_proxy_cut(struct kit_proxy *proxy, size_t bytes);
/* New connections are reset at once; those that are there go on. */
void kit_proxy_refuse(struct kit_proxy *proxy);

/* Once: RST to both sides of all connections. */
void kit_proxy_reset(struct kit_proxy *proxy);
/* Once: the client sees the end of the stream, but may go on writing, and the broker hears it. */
void kit_proxy_half_close(struct kit_proxy *proxy);

struct kit_proxy_figures {
	unsigned connections; /* in all */
	unsigned open;
	unsigned resets; /* by the proxy */
	uint64_t to_broker, to_client;
};

struct kit_proxy_figures kit_proxy_figures(struct kit_proxy *proxy);

/* Sees each byte that has been read from a side. On the proxy's thread: its own data need a lock. */
typedef void kit_proxy_tap(void *context, unsigned connection, bool from_broker, const void *bytes, size_t len);
/* Before the first connection. */
void kit_proxy_set_tap(struct kit_proxy *proxy, kit_proxy_tap *tap, void *context);

/* An order in words, as the program kit_proxy takes them: "delay 50", "reset", ... Returns: whether it is one. */
bool kit_proxy_order(struct kit_proxy *proxy, const char *words);

#ifdef __cplusplus
}
#endif
#endif
