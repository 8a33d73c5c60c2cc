/* SPDX-License-Identifier: MIT */
/*
 * OpenSSL's own socket BIO uses write(), which kills the process by SIGPIPE when the broker has gone; a library may not
 * change the process's signals, so the BIO here uses send(MSG_NOSIGNAL).
 */
#include "bridges/amqp_tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

struct posta__amqp_tls {
	SSL_CTX *context;
	BIO_METHOD *method;
	bool insecure;
};

static int bio_write(BIO *bio, const char *data, int len)
{
	int fd = (int)(intptr_t)BIO_get_data(bio);
	ssize_t n = send(fd, data, (size_t)len, MSG_NOSIGNAL);

	BIO_clear_retry_flags(bio);
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
		BIO_set_retry_write(bio);
	return (int)n;
}

static int bio_read(BIO *bio, char *data, int len)
{
	int fd = (int)(intptr_t)BIO_get_data(bio);
	ssize_t n = recv(fd, data, (size_t)len, 0);

	BIO_clear_retry_flags(bio);
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
		BIO_set_retry_read(bio);
	return (int)n;
}

static long bio_ctrl(BIO *bio, int command, long number, void *pointer)
{
	(void)bio;
	(void)number;
	(void)pointer;
	return command == BIO_CTRL_FLUSH;
}

static BIO_METHOD *make_method(void)
{
	BIO_METHOD *method = BIO_meth_new(BIO_TYPE_SOURCE_SINK | BIO_get_new_index(), "posta socket");

	if (!method)
		return NULL;
	BIO_meth_set_write(method, bio_write);
	BIO_meth_set_read(method, bio_read);
	BIO_meth_set_ctrl(method, bio_ctrl);
	return method;
}

/* A key with a pass phrase must not make the library ask on the terminal. */
static int no_pass_phrase(char *buffer, int size, int writing, void *context)
{
	(void)buffer;
	(void)size;
	(void)writing;
	(void)context;
	return 0;
}

static enum posta_err file_error(struct posta_error *error, const char *what, const char *file)
{
	const char *reason = ERR_reason_error_string(ERR_peek_last_error());
	enum posta_err code =
		posta_error_set(error, POSTA_EINVAL, "cannot use the %s %s: %s (PEM, without a pass phrase, is needed)",
				what, file, reason ? reason : "unreadable");

	ERR_clear_error();
	return code;
}

static enum posta_err load_files(SSL_CTX *context, const struct posta_tls *options, struct posta_error *error)
{
	if (options->ca && SSL_CTX_load_verify_locations(context, options->ca, NULL) != 1)
		return file_error(error, "CA file", options->ca);
	if (!options->ca && SSL_CTX_set_default_verify_paths(context) != 1)
		return file_error(error, "CA store", "of the system");
	if (!options->cert != !options->key)
		return posta_error_set(error, POSTA_EINVAL, "tls: cert and key go together, one of them is missing");
	if (!options->cert)
		return POSTA_OK;
	if (SSL_CTX_use_certificate_chain_file(context, options->cert) != 1)
		return file_error(error, "certificate", options->cert);
	if (SSL_CTX_use_PrivateKey_file(context, options->key, SSL_FILETYPE_PEM) != 1)
		return file_error(error, "key", options->key);
	if (SSL_CTX_check_private_key(context) != 1)
		return file_error(error, "key for that certificate", options->key);
	return POSTA_OK;
}

struct posta__amqp_tls *posta__amqp_tls_new(const struct posta_tls *options, struct posta_error *error)
{
	struct posta__amqp_tls *tls = calloc(1, sizeof *tls);

	ERR_clear_error();
	if (tls) {
		tls->insecure = options->insecure;
		tls->method = make_method();
		tls->context = SSL_CTX_new(TLS_client_method());
	}
	if (!tls || !tls->method || !tls->context) {
		posta__amqp_tls_free(tls);
		posta_error_set(error, POSTA_ENOMEM, "no memory for TLS");
		return NULL;
	}
	SSL_CTX_set_min_proto_version(tls->context, TLS1_2_VERSION);
	SSL_CTX_set_options(tls->context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
	SSL_CTX_set_mode(tls->context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_default_passwd_cb(tls->context, no_pass_phrase);
	SSL_CTX_set_verify(tls->context, options->insecure ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, NULL);
	if (load_files(tls->context, options, error)) {
		posta__amqp_tls_free(tls);
		return NULL;
	}
	return tls;
}

void posta__amqp_tls_free(struct posta__amqp_tls *tls)
{
	if (!tls)
		return;
	SSL_CTX_free(tls->context);
	if (tls->method)
		BIO_meth_free(tls->method);
	free(tls);
}

/* A name goes into SNI and is compared with DNS names; an address is compared with IP names and has no SNI (RFC 6066). */
static bool expect_host(SSL *ssl, const char *host)
{
	struct in6_addr address;
	bool is_address = inet_pton(AF_INET, host, &address) == 1 || inet_pton(AF_INET6, host, &address) == 1;

	if (is_address)
		return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1;
	SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	return SSL_set1_host(ssl, host) == 1 && SSL_set_tlsext_host_name(ssl, host) == 1;
}

SSL *posta__amqp_tls_open(struct posta__amqp_tls *tls, int fd, const char *host)
{
	SSL *ssl = SSL_new(tls->context);
	BIO *bio = BIO_new(tls->method);

	if (!ssl || !bio || !expect_host(ssl, host)) {
		BIO_free(bio);
		SSL_free(ssl);
		return NULL;
	}
	BIO_set_data(bio, (void *)(intptr_t)fd);
	BIO_set_init(bio, 1);
	SSL_set_bio(ssl, bio, bio);
	SSL_set_connect_state(ssl);
	return ssl;
}

void posta__amqp_tls_words(const SSL *ssl, int result, char *text, size_t size)
{
	int saved_errno = errno;
	long verify = SSL_get_verify_result(ssl);
	const char *reason = ERR_reason_error_string(ERR_peek_error());

	if (verify != X509_V_OK && !SSL_is_init_finished(ssl))
		snprintf(text, size, "the certificate was not accepted: %s", X509_verify_cert_error_string(verify));
	else if (reason)
		snprintf(text, size, "TLS: %s", reason);
	else if (SSL_get_error(ssl, result) == SSL_ERROR_SYSCALL && saved_errno)
		snprintf(text, size, "TLS: %s", strerror(saved_errno));
	else
		snprintf(text, size, "TLS: the broker closed the connection");
	ERR_clear_error();
}
