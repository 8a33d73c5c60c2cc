/* SPDX-License-Identifier: MIT */
#ifndef POSTA_BRIDGES_TLS_H
#define POSTA_BRIDGES_TLS_H

/*
 * OpenSSL as a client over a non-blocking descriptor, for the bridges whose library leaves that to us. Thread: the
 * loop's.
 */

#include <posta/bridge.h>

#include <openssl/ssl.h>

/* What the sessions of one connection share. */
struct posta__tls {
	SSL_CTX *context;
	BIO_METHOD *method; /* of a socket, without SIGPIPE */
	const char *host;   /* MQTT: whose certificate is expected; borrowed */
	long refusal;       /* MQTT: X509_V_ERR_* of the last certificate refused, 0 if none was */
};

/*
 * Reads the files that options name. bridge: its name, for errors. Returns: owned; NULL with error (EINVAL names the
 * file, ENOMEM).
 */
struct posta__tls *posta__tls_new(const char *bridge, const struct posta_tls *options, struct posta_error *error);
/* After the last session. NULL is allowed. */
void posta__tls_free(struct posta__tls *tls);

/*
 * The session accepts only a certificate for host from now on, and asks for it by SNI. Before the handshake.
 * Returns: false when out of memory, and the session must not be used.
 */
bool posta__tls_expect_host(SSL *ssl, const char *host);
/* The session reads and writes fd, which stays the caller's. Returns: false when out of memory. */
bool posta__tls_adopt(const struct posta__tls *tls, SSL *ssl, int fd);
/* A session on fd for host. Returns: owned, SSL_free(); NULL when out of memory. */
SSL *posta__tls_open(const struct posta__tls *tls, int fd, const char *host);

/* Words for a failed call of the session: why the certificate was refused, what the peer's alert said, or errno's. */
void posta__tls_words(const SSL *ssl, int result, char *text, size_t size);

#endif
