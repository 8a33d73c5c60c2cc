/* SPDX-License-Identifier: MIT */
#ifndef POSTA_GROUP_H
#define POSTA_GROUP_H

/* Named groups of actors: publish to all, or let one of them do it (a pool). Members that end leave by themselves. */

#include <posta/actor.h>

#ifdef __cplusplus
extern "C" {
#endif

enum posta_pick {
	POSTA_PICK_ROUND_ROBIN,
	/*
	 * Shortest mailbox. From the first such pick on the members' mailboxes are counted, which costs their senders a
	 * little; that pick itself does not know them yet.
	 */
	POSTA_PICK_LEAST_LOADED,
	POSTA_PICK_HASH          /* the same key goes to the same member; few keys move when members change */
};

/* Idempotent. Errors: ENOMEM, EINVAL (name), EFULL (65,536 members). */
enum posta_err posta_group_join(struct posta_actor *self, const char *group);
/* Errors: ENOTFOUND: not a member. */
enum posta_err posta_group_leave(struct posta_actor *self, const char *group);
/* Sends a copy to each member, self included. Returns: how many got it. */
size_t posta_group_publish(struct posta_actor *self, const char *group, uint32_t type, const void *data, size_t size);
/* key and key_len: for HASH only. Returns: POSTA_NOBODY when the group is empty. */
posta_ref posta_group_pick(struct posta_actor *self, const char *group, enum posta_pick pick, const void *key,
			   size_t key_len);
/* Members now. Thread: any. */
size_t posta_group_size(struct posta_system *system, const char *group);

#ifdef __cplusplus
}
#endif
#endif
