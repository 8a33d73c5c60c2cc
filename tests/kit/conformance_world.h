/* SPDX-License-Identifier: MIT */
#ifndef POSTA_TESTS_KIT_CONFORMANCE_WORLD_H
#define POSTA_TESTS_KIT_CONFORMANCE_WORLD_H

/*
 * What one behaviour of the conformance suite works with: a system driven by the test, bridges, and users, which are
 * actors that write down whatever a bridge sends them. The test calls a bridge "as" a user; since nothing else drives
 * the system, it may read the user's records at any time between steps.
 */

#include "conformance.h"

#include <posta/system.h>

#define KIT_BRIDGES_MAX 4
#define KIT_USERS_MAX 4
#define KIT_STATES_MAX 64
#define KIT_RECORDS_MAX 8192

struct kit_delivery {
	struct posta_envelope *envelope; /* a reference of ours */
	struct posta_token token;
	bool redelivered;
};

struct kit_reply {
	uint64_t cookie;
	enum posta_err result;
	struct posta_envelope *envelope; /* a reference of ours; NULL: none came */
};

struct kit_user {
	struct kit_world *world;
	posta_ref ref;
	bool acks; /* settles each delivery at once */
	struct kit_delivery *deliveries;
	size_t delivered;
	struct posta_published *published;
	size_t answered, confirmed;
	struct kit_reply *replies;
	size_t replied;
	size_t subscribed, refused, closed; /* POSTA_MSG_SUBSCRIBED by result */
	enum posta_bridge_state states[KIT_STATES_MAX];
	size_t state_count;
	bool ended;
};

struct kit_world {
	const struct kit_bridge *kit;
	struct posta_system *system;
	struct posta_bridge *bridges[KIT_BRIDGES_MAX];
	posta_ref fronts[KIT_BRIDGES_MAX];
	unsigned bridge_count;
	struct kit_user users[KIT_USERS_MAX];
	unsigned user_count;
	bool is_down, is_faulty;
	char log[16384]; /* what the system logged, cut off at its end */
	size_t log_len;
	bool failed;
};

struct kit_behaviour {
	const char *name;
	uint32_t needs;    /* enum posta_capability, all of them */
	uint32_t not_with; /* enum kit_lack */
	void (*run)(struct kit_world *world);
};

/* Ends the behaviour when the condition does not hold; says where. */
#define KIT_EXPECT(world, condition)                                                                                   \
	do {                                                                                                           \
		if (!kit_expect(world, condition, #condition, __FILE__, __LINE__))                                     \
			return;                                                                                        \
	} while (0)
bool kit_expect(struct kit_world *world, bool holds, const char *what, const char *file, int line);

/* Ends the program when it is NULL. */
void *kit_must(void *memory);
void kit_world_init(struct kit_world *world, const struct kit_bridge *kit);
void kit_world_fini(struct kit_world *world);

/* NULL options: the kit's. Ends the program when it cannot be opened. */
struct posta_bridge *kit_open(struct kit_world *world, const struct posta_bridge_options *options);
/* The same by the way on which kit_fault() works. */
struct posta_bridge *kit_open_far(struct kit_world *world, const struct posta_bridge_options *options);
/* What kit_open takes: the kit's, with a client id of its own and a quick back-off. */
struct posta_bridge_options kit_options(struct kit_world *world);
/* Closed by the behaviour itself: waits for the end. Returns: whether it came. */
bool kit_close(struct kit_world *world, struct posta_bridge *bridge, uint32_t deadline_ms);
struct kit_user *kit_user(struct kit_world *world);
void kit_user_end(struct kit_user *user);
void kit_user_fini(struct kit_user *user);
void kit_down(struct kit_world *world);
void kit_up(struct kit_world *world);
/* In force until another one, or the end of the behaviour. */
void kit_fault(struct kit_world *world, enum kit_fault fault, size_t value);

/* Monotonic. */
uint64_t kit_now_ms(void);
/* Waits at most the kit's patience. */
bool kit_wait(struct kit_world *world, const size_t *counter, size_t at_least);
bool kit_wait_state(struct kit_world *world, struct posta_bridge *bridge, enum posta_bridge_state state);
/* Until a status counter (its offset in struct posta_bridge_status) has reached a figure. */
bool kit_wait_status(struct kit_world *world, struct posta_bridge *bridge, size_t offset, uint64_t at_least);
/* Until 0, 1 .. count - 1 have all been delivered, however often. */
bool kit_wait_numbers(struct kit_world *world, struct kit_user *user, unsigned count);
bool kit_wait_lag(struct kit_world *world, struct posta_bridge *bridge, int64_t lag);
/* Lets the system run for a while in which nothing is expected. */
void kit_quiet(struct kit_world *world, uint64_t ms);
struct posta_bridge_status kit_status(const struct posta_bridge *bridge);

/* As the user. */
enum posta_err kit_publish(struct kit_user *user, struct posta_bridge *bridge, const struct posta_target *target,
			   struct posta_envelope *envelope, uint64_t cookie);
/* count messages with the bodies "first", "first + 1", ... in one turn. */
void kit_publish_numbers(struct kit_user *user, struct posta_bridge *bridge, const struct posta_target *target,
			 unsigned first, unsigned count);
/* The same, and the broker goes away in that very turn: the bridge offers them to a connection that is dead already. */
void kit_publish_and_down(struct kit_user *user, struct posta_bridge *bridge, const struct posta_target *target,
			  unsigned first, unsigned count);
enum posta_err kit_ask(struct kit_user *user, struct posta_bridge *bridge, const struct posta_target *target,
		       const char *text, uint32_t timeout_ms, uint64_t cookie);
/* To a delivery; its PUBLISHED has the cookie 0. */
enum posta_err kit_reply(struct kit_user *user, struct posta_bridge *bridge, size_t delivery, const char *text);
/* Waits until it is in force. Returns: its number, 0 when it did not come. */
uint32_t kit_subscribe(struct kit_user *user, struct posta_bridge *bridge, const struct posta_source *source);
enum posta_err kit_try_subscribe(struct kit_user *user, struct posta_bridge *bridge, const struct posta_source *source,
				 uint32_t *subscription, struct posta_error *error);
void kit_unsubscribe(struct kit_user *user, struct posta_bridge *bridge, uint32_t subscription);
void kit_pause(struct kit_user *user, struct posta_bridge *bridge, uint32_t subscription);
void kit_resume(struct kit_user *user, struct posta_bridge *bridge, uint32_t subscription);
void kit_watch(struct kit_user *user, struct posta_bridge *bridge);
void kit_settle(struct kit_user *user, size_t delivery, enum posta_outcome outcome);
void kit_settle_token(struct kit_user *user, struct posta_token token, enum posta_outcome outcome);
enum posta_err kit_seek(struct kit_user *user, struct posta_bridge *bridge, uint32_t subscription,
			struct posta_position position);

/* -- Envelopes. Each behaviour's publications go through kit_publish, which drops the caller's reference. -- */
struct posta_envelope *kit_text(const char *text);
struct posta_envelope *kit_bytes(const void *data, size_t len);
/* The number in a delivery's body, -1 for none. */
long kit_number(const struct kit_user *user, size_t delivery);
/* How often the number was delivered from that place on. */
unsigned kit_times(const struct kit_user *user, size_t from, long number);
/* Whether delivery from.. are first, first + 1, ... in order, each once. */
bool kit_in_order(const struct kit_user *user, size_t from, long first, size_t count);

/* A bridge, a user, a pair subscribed by it: what most behaviours begin with. acks as in struct kit_user. */
struct kit_flow {
	struct posta_bridge *bridge;
	struct kit_user *user;
	struct kit_pair pair;
	uint32_t subscription;
};
bool kit_flow(struct kit_world *world, struct kit_flow *flow, bool queue, uint32_t credit, bool acks);
void kit_pair(struct kit_world *world, struct kit_pair *pair, bool queue);

extern const struct kit_behaviour kit_publish_behaviours[]; /* each ends with a name NULL */
extern const struct kit_behaviour kit_consume_behaviours[];
extern const struct kit_behaviour kit_life_behaviours[];
extern const struct kit_behaviour kit_edge_behaviours[];
extern const struct kit_behaviour kit_log_behaviours[];
extern const struct kit_behaviour kit_network_behaviours[];
extern const struct kit_behaviour kit_ask_behaviours[];

#endif
