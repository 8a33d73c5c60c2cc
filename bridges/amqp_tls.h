/* SPDX-License-Identifier: MIT */
#ifndef POSTA_BRIDGES_AMQP_TLS_H
#define POSTA_BRIDGES_AMQP_TLS_H

/* OpenSSL over a non-blocking descriptor, as a client. Thread: the loop's. */

#include <posta/bridge.h>

#include <openssl/ssl.h>

struct posta__amqp_tls;

/* Reads the files that options name. Returns: owned; NULL with error (EINVAL names the file, ENOMEM). */
struct posta__amqp_tls *posta__amqp_tls_new(const struct posta_tls *options, struct posta_error *error);
void posta__amqp_tls_free(struct posta__amqp_tls *tls);

/*
 * A session on fd (stays the caller's) which will accept only a certificate for host, unless insecure.
 * Returns: owned, SSL_free(); NULL when out of memory.
 */
SSL *posta__amqp_tls_open(struct posta__amqp_tls *tls, int fd, const char *host);

/* Words for a failed call of that session: why the certificate was refused, what the peer's alert said, or errno's. */
void posta__amqp_tls_words(const SSL *ssl, int result, char *text, size_t size);

#endif
