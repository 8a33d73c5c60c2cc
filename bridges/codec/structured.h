/* SPDX-License-Identifier: MIT */
#ifndef POSTA_CODEC_STRUCTURED_H
#define POSTA_CODEC_STRUCTURED_H

/*
 * The JSON form of an envelope. Members that are no CloudEvents attribute of ours are free headers; where these can't
 * be extension attributes (other letters, repeats, bytes that are no text), all of them go into one extension,
 * "postaheaders": a text that is a JSON array of [name, value, bits], bits 1: value in base64, 2: name in base64.
 * Source: CloudEvents JSON Event Format 1.0.2.
 */

#include "text.h"

/* with_topic: TOPIC too, for people and files; on a wire it is the broker's to say. Errors: ENOMEM. buffer: finished.
 */
enum posta_err posta__structured_write(const struct posta_envelope *envelope, bool with_topic,
				       struct posta__buffer *buffer);
/*
 * Turns an envelope whose body is a JSON CloudEvent into what that says; the new body is part of the old one where
 * possible. Errors: EFORMAT, ETOOBIG, ENOMEM: the body is as it was.
 */
enum posta_err posta__structured_unpack(struct posta_envelope *envelope);

#endif
