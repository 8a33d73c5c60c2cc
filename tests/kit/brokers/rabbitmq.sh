#!/bin/sh
# SPDX-License-Identifier: MIT
# rabbitmq.sh prepare DIR PLAIN TLS MTLS SASL DIST EPMD	write the files
# rabbitmq.sh helper DIR	become the port mapper (epmd) of this broker alone
# rabbitmq.sh run DIR		become the broker
# rabbitmq.sh ctl DIR ARGUMENTS	rabbitmqctl
# The host process (host.c) calls this; brokers.h lists the KIT_ options.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
rabbit=${POSTA_TEST_RABBITMQ_HOME:-/usr/lib/rabbitmq}
verb=$1 dir=$2

config() { # PLAIN TLS
	echo "listeners.tcp.1 = 127.0.0.1:$1"
	echo "default_user = ${KIT_USER:-guest}"
	echo "default_pass = ${KIT_PASSWORD:-guest}"
	echo "default_vhost = ${KIT_VHOST:-/}"
	# A nearly full disk of a test machine must not block every publisher.
	echo 'disk_free_limit.absolute = 1MB'
	[ -z "${KIT_MAX_BYTES:-}" ] || echo "max_message_size = $KIT_MAX_BYTES"
	if [ -n "${KIT_TLS:-}" ]; then
		echo "listeners.ssl.1 = 127.0.0.1:$2"
		echo "ssl_options.cacertfile = $dir/tls/ca.pem"
		echo "ssl_options.certfile = $dir/tls/server.pem"
		echo "ssl_options.keyfile = $dir/tls/server.key"
		echo 'ssl_options.verify = verify_peer'
		echo 'ssl_options.fail_if_no_peer_cert = false'
	fi
	printf '%s\n' "${KIT_CONFIG:-}"
}

# All that the server's own scripts read; nothing outside DIR is used.
environment() { # PLAIN DIST EPMD
	cat <<-END
	export HOME='$dir/home'
	export ERL_EPMD_PORT=$3 ERL_EPMD_ADDRESS=127.0.0.1
	export RABBITMQ_NODENAME=kit$1@localhost
	export RABBITMQ_NODE_IP_ADDRESS=127.0.0.1
	export RABBITMQ_NODE_PORT=$1 RABBITMQ_DIST_PORT=$2
	# Chosen by the system at each call: one kept for it could be another's by then.
	export RABBITMQ_CTL_DIST_PORT_MIN=0 RABBITMQ_CTL_DIST_PORT_MAX=0
	export RABBITMQ_MNESIA_BASE='$dir/data'
	export RABBITMQ_MNESIA_DIR='$dir/data/node'
	export RABBITMQ_FEATURE_FLAGS_FILE='$dir/data/feature_flags'
	export RABBITMQ_PID_FILE='$dir/data/pid'
	export RABBITMQ_LOG_BASE='$dir' RABBITMQ_LOGS=-
	export RABBITMQ_PLUGINS_DIR='$dir/plugins'
	export RABBITMQ_PLUGINS_EXPAND_DIR='$dir/data/plugins'
	export RABBITMQ_ENABLED_PLUGINS_FILE='$dir/enabled_plugins'
	export RABBITMQ_CONFIG_FILE='$dir/rabbitmq.conf'
	export RABBITMQ_ADVANCED_CONFIG_FILE='$dir/advanced.config'
	export RABBITMQ_GENERATED_CONFIG_DIR='$dir/data/generated'
	export RABBITMQ_CONF_ENV_FILE=/dev/null
	# Neither may start an epmd of its own: it would stay behind as a daemon.
	export RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS='-start_epmd false -kernel inet_dist_use_interface {127,0,0,1}'
	export RABBITMQ_CTL_ERL_ARGS='-start_epmd false -kernel inet_dist_use_interface {127,0,0,1}'
	# The start script then replaces itself by the server: one pid.
	export RUNNING_UNDER_SYSTEMD=true
	unset NOTIFY_SOCKET
	END
}

# The server scans every plugin in its folder at each start: give it a folder
# with only those that it needs itself.
plugins() {
	mkdir -p "$dir/plugins"
	for name in accept aten base64url amqp10_common cowlib credentials_obfuscation \
		cuttlefish enough gen_batch_server getopt jose jsx observer_cli osiris \
		quantile_estimator ra rabbit rabbit_common rabbitmq_prelaunch ranch recon \
		seshat stdout_formatter syslog sysmon_handler systemd; do
		for path in "$rabbit"/lib/rabbitmq_server-*/plugins/"$name"-[0-9]*; do
			[ ! -e "$path" ] || ln -s "$path" "$dir/plugins/"
		done
	done
}

case $verb in
prepare)
	[ -x "$rabbit/bin/rabbitmq-server" ] || { echo 'rabbitmq-server is not installed'; exit 77; }
	umask 077
	mkdir -p "$dir/home" "$dir/data"
	od -An -N16 -tx1 /dev/urandom | tr -d ' \n' > "$dir/home/.erlang.cookie"
	chmod 400 "$dir/home/.erlang.cookie"
	echo '[].' > "$dir/enabled_plugins"
	echo '[].' > "$dir/advanced.config"
	plugins
	[ -z "${KIT_TLS:-}" ] || "$here/tls.sh" "$dir"
	config "$3" "$4" > "$dir/rabbitmq.conf"
	environment "$3" "$7" "$8" > "$dir/environment"
	;;
helper)
	. "$dir/environment"
	exec epmd -port "$ERL_EPMD_PORT" -address 127.0.0.1
	;;
run)
	. "$dir/environment"
	cd "$dir"
	exec "$rabbit/bin/rabbitmq-server"
	;;
ctl)
	. "$dir/environment"
	shift 2
	exec "$rabbit/bin/rabbitmqctl" -n "$RABBITMQ_NODENAME" "$@"
	;;
esac
