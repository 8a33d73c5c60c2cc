/* SPDX-License-Identifier: MIT */
#ifndef POSTA_TESTS_KIT_PROXY_LINK_H
#define POSTA_TESTS_KIT_PROXY_LINK_H

/* One connection through the proxy: two flows of bytes. Thread: the proxy's. */

#include "proxy.h"

#include <ev.h>

#define KIT_CHUNK 16384
#define KIT_HELD_MAX (1u << 20) /* bytes that one flow holds before it stops reading */

/* What is in force for all connections. */
struct kit_faults {
	double delay_s;
	double bytes_per_s; /* 0: as fast as it goes */
	bool hole, refuse, cut;
	size_t cut_after;
};

struct kit_chunk {
	struct kit_chunk *next;
	ev_tstamp due;
	size_t len, done;
	char bytes[];
};

struct kit_link;

struct kit_flow {
	struct kit_link *link;
	ev_io readable, writable;
	ev_timer later;
	struct kit_chunk *first, **last;
	size_t held;
	ev_tstamp free_at; /* throttled: no byte before that */
	bool from_broker;
	bool ended;  /* no more is read */
	bool closed; /* and the other side knows */
	bool deaf;   /* what is read is thrown away */
};

struct kit_link {
	struct kit_link *next;
	struct kit_shared *shared;
	struct kit_flow up, down; /* to the broker, to the client */
	int client, broker;
	unsigned number;
	size_t cut_left;
};

/* The proxy as its links see it. */
struct kit_shared {
	struct ev_loop *loop;
	struct kit_faults faults;
	struct kit_link *links;
	struct kit_proxy_figures figures;
	kit_proxy_tap *tap;
	void *tap_context;
};

/* Takes: both sockets, which do not block. */
void kit__link_open(struct kit_shared *shared, int client, int broker);
/* Both sides see a reset. The link is freed. */
void kit__link_reset(struct kit_link *link);
void kit__link_half_close(struct kit_link *link);
/* The faults have changed. */
void kit__link_renew(struct kit_link *link);

#endif
