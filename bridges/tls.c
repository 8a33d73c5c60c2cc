/* SPDX-License-Identifier: MIT */
/*
 * OpenSSL's own socket BIO uses write(), which kills the process by SIGPIPE when the broker has gone; a library may not
 * change the process's signals, so the BIO here uses send(MSG_NOSIGNAL).
 */
#include "bridges/tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

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

static int bio_type;

static void make_type(void)
{
	bio_type = BIO_TYPE_SOURCE_SINK | BIO_get_new_index();
}

/* Every connection has a method of its own, but one type does for all: there are no more than 127 of them. */
static BIO_METHOD *make_method(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, make_type);
	BIO_METHOD *method = BIO_meth_new(bio_type, "posta socket");

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

static enum posta_err file_error(struct posta_error *error, const char *bridge, const char *what, const char *file)
{
	const char *reason = ERR_reason_error_string(ERR_peek_last_error());
	enum posta_err code = posta_error_set(error, POSTA_EINVAL,
					      "%s: cannot use the %s %s: %s (PEM without a pass phrase is needed)",
					      bridge, what, file, reason ? reason : "unreadable");

	ERR_clear_error();
	return code;
}

static enum posta_err load_files(SSL_CTX *context, const char *bridge, const struct posta_tls *options,
				 struct posta_error *error)
{
	if (options->ca && SSL_CTX_load_verify_locations(context, options->ca, NULL) != 1)
		return file_error(error, bridge, "CA file", options->ca);
	if (!options->ca && SSL_CTX_set_default_verify_paths(context) != 1)
		return file_error(error, bridge, "CA store", "of the system");
	if (!options->cert != !options->key)
		return posta_error_set(error, POSTA_EINVAL,
				       "%s: tls.cert and tls.key go together, one of them is missing", bridge);
	if (!options->cert)
		return POSTA_OK;
	if (SSL_CTX_use_certificate_chain_file(context, options->cert) != 1)
		return file_error(error, bridge, "certificate", options->cert);
	if (SSL_CTX_use_PrivateKey_file(context, options->key, SSL_FILETYPE_PEM) != 1)
		return file_error(error, bridge, "key", options->key);
	if (SSL_CTX_check_private_key(context) != 1)
		return file_error(error, bridge, "key for that certificate", options->key);
	return POSTA_OK;
}

static void configure(SSL_CTX *context, bool insecure)
{
	SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
	SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
	SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_default_passwd_cb(context, no_pass_phrase);
	SSL_CTX_set_verify(context, insecure ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, NULL);
}

struct posta__tls *posta__tls_new(const char *bridge, const struct posta_tls *options, struct posta_error *error)
{
	struct posta__tls *tls = calloc(1, sizeof *tls);

	ERR_clear_error();
	if (tls) {
		tls->method = make_method();
		tls->context = SSL_CTX_new(TLS_client_method());
	}
	if (!tls || !tls->method || !tls->context) {
		posta__tls_free(tls);
		posta_error_set(error, POSTA_ENOMEM, "%s: no memory for TLS", bridge);
		return NULL;
	}
	configure(tls->context, options->insecure);
	if (load_files(tls->context, bridge, options, error)) {
		posta__tls_free(tls);
		return NULL;
	}
	return tls;
}

void posta__tls_free(struct posta__tls *tls)
{
	if (!tls)
		return;
	SSL_CTX_free(tls->context);
	if (tls->method)
		BIO_meth_free(tls->method);
	free(tls);
}

/*
 * A name goes into SNI and is compared with DNS names; an address is compared with IP names and has no SNI (RFC 6066).
 */
bool posta__tls_expect_host(SSL *ssl, const char *host)
{
	struct in6_addr address;
	bool is_address = inet_pton(AF_INET, host, &address) == 1 || inet_pton(AF_INET6, host, &address) == 1;

	if (is_address)
		return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1 &&
		       SSL_set_tlsext_host_name(ssl, NULL) == 1;
	SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	return SSL_set1_host(ssl, host) == 1 && SSL_set_tlsext_host_name(ssl, host) == 1;
}

bool posta__tls_adopt(const struct posta__tls *tls, SSL *ssl, int fd)
{
	BIO *bio = BIO_new(tls->method);

	if (!bio)
		return false;
	BIO_set_data(bio, (void *)(intptr_t)fd);
	BIO_set_init(bio, 1);
	SSL_set_bio(ssl, bio, bio);
	return true;
}

SSL *posta__tls_open(const struct posta__tls *tls, int fd, const char *host)
{
	SSL *ssl = SSL_new(tls->context);

	if (!ssl || !posta__tls_expect_host(ssl, host) || !posta__tls_adopt(tls, ssl, fd)) {
		SSL_free(ssl);
		return NULL;
	}
	SSL_set_connect_state(ssl);
	return ssl;
}

/* Why the certificate was refused, "" if it was not. */
static const char *refusal_of(const SSL *ssl)
{
	long verify = SSL_get_verify_result(ssl);

	return verify == X509_V_OK ? "" : X509_verify_cert_error_string(verify);
}

void posta__tls_words(const SSL *ssl, int result, char *text, size_t size)
{
	int saved_errno = errno;
	const char *refusal = refusal_of(ssl);
	const char *reason = ERR_reason_error_string(ERR_peek_error());

	if (*refusal && !SSL_is_init_finished(ssl))
		snprintf(text, size, "the certificate was not accepted: %s", refusal);
	else if (reason)
		snprintf(text, size, "TLS: %s", reason);
	else if (SSL_get_error(ssl, result) == SSL_ERROR_SYSCALL && saved_errno)
		snprintf(text, size, "TLS: %s", strerror(saved_errno));
	else
		snprintf(text, size, "TLS: the broker closed the connection");
	ERR_clear_error();
}
