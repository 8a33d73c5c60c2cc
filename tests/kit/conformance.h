/* SPDX-License-Identifier: MIT */
#ifndef POSTA_TESTS_KIT_CONFORMANCE_H
#define POSTA_TESTS_KIT_CONFORMANCE_H

/*
 * One suite that every bridge passes against the real thing: what a user of posta/bridge.h may rely on, whatever the
 * broker. A bridge plugs in by a struct kit_bridge in tests/kit/bridge_NAME.c; what its broker has no notion of is said
 * by capabilities and lacks, and those behaviours are listed as left out, never skipped in silence.
 *
 * Each behaviour has a system of its own, driven by the test (no threads), and fresh targets and sources.
 */

#include <posta/bridge_ops.h>

#ifdef __cplusplus
extern "C" {
#endif

#define KIT_NAME_MAX 160

/* Where to publish and where to read the same from; names are this struct's own. */
struct kit_pair {
	char names[4][KIT_NAME_MAX]; /* what target and source point to */
	struct posta_target target;
	struct posta_source source;
};

/* What a broker has no notion of, beyond its capabilities. */
enum kit_lack {
	KIT_LACKS_REJECT_APART = 1 << 0, /* cannot tell REJECT from REQUEUE while connected */
	KIT_LACKS_BAD_TARGET = 1 << 1,   /* takes any name: no_such is NULL */
	KIT_LACKS_EMPTY_BODY = 1 << 2,   /* an empty body arrives as none, or the other way round */
	KIT_LACKS_DURABLE = 1 << 3,      /* what was published before a restart of the broker is gone */
	KIT_LACKS_EXPIRY = 1 << 4,       /* the envelope's expiry does not arrive */
	KIT_LACKS_KEY = 1 << 5,          /* the envelope's key does not arrive */
	KIT_LACKS_SETTLE_APART = 1 << 6, /* settled ones may come again while others around them are not settled */
	KIT_LACKS_HOSTS = 1 << 7,        /* its URL names no host */
	KIT_LACKS_HANDOVER = 1 << 8,     /* what waits for a consumer that unsubscribes goes with it, not to another */
	KIT_LACKS_FAULTS = 1 << 9,       /* connections do not break while the broker stays: fault is NULL */
	KIT_LACKS_WIRE = 1 << 10         /* nothing between it and the broker could be slow, silent or half closed */
};

/* What is done to the connections of bridges opened by far_url. */
enum kit_fault {
	KIT_FAULT_NONE,       /* none is in force any more */
	KIT_FAULT_RESET,      /* once */
	KIT_FAULT_CUT,        /* each, also new ones, reset behind so many bytes */
	KIT_FAULT_HALF_CLOSE, /* once: the end of the stream from the broker */
	KIT_FAULT_HOLE,       /* nothing arrives, and nobody says so */
	KIT_FAULT_SLOW,       /* so many bytes a second */
	KIT_FAULT_FAR         /* so many milliseconds later */
};

struct kit_bridge {
	const char *name;
	const struct posta_bridge_ops *ops; /* its capabilities decide what is tested */
	uint32_t lacks;                     /* enum kit_lack */
	uint64_t patience_ms;               /* how long a wait may take; 0: 20,000 */
	uint64_t settle_ms;                 /* how long settlements may be gathered before they leave; 0: 1,000 */
	/* Once, before and after all. start may be NULL. */
	void (*start)(void);
	void (*stop)(void);
	/* Borrowed until stop. */
	const char *(*url)(void);
	/*
	 * Optional: what every bridge of the suite needs beyond the defaults. client_id is set already where one is
	 * needed.
	 */
	void (*options)(struct posta_bridge_options *options);
	/*
	 * Fresh names. queue: what one consumer settles no other one gets. topic: every source gets all (a group of its
	 * own each). keyed: one log read by two consumers of one group. Those without the capability may be NULL.
	 */
	void (*queue)(struct kit_pair *pair);
	void (*topic)(struct kit_pair *pair);
	/*
	 * A source that matches the topics of several pairs by a wildcard: fills two pairs, and source. CAN_WILDCARDS.
	 */
	void (*wildcard)(struct kit_pair *first, struct kit_pair *second, struct posta_source *source,
			 char name[KIT_NAME_MAX]);
	/* A target that the broker refuses or does not have. NULL with LACKS_BAD_TARGET. */
	void (*no_such)(struct kit_pair *pair);
	/*
	 * The broker goes away: connections break, new ones are refused, until it is back with what it had promised to
	 * keep. Both return when it has happened; neither steps the system. down may be called before any bridge was
	 * opened.
	 */
	void (*down)(struct posta_system *system);
	void (*up)(struct posta_system *system);
	/* By that address faults can be had. NULL: by url. */
	const char *(*far_url)(void);
	void (*fault)(struct posta_system *system, enum kit_fault fault, size_t value);
};

/* Runs all behaviours (or those whose name contains only). Returns: how many failed. */
int kit_conformance(const struct kit_bridge *bridge, const char *only);

extern const struct kit_bridge kit_bridge_memory;
extern const struct kit_bridge kit_bridge_kafka; /* where that bridge is in the build; the others likewise */
extern const struct kit_bridge kit_bridge_amqp;
extern const struct kit_bridge kit_bridge_mqtt;
extern const struct kit_bridge kit_bridge_mqtt3; /* 3.1.1 */

#ifdef __cplusplus
}
#endif
#endif
