#!/bin/bash
# SPDX-License-Identifier: MIT
# kafka.sh fetch				fill the cache; nothing to do the second time
# kafka.sh prepare DIR PLAIN TLS MTLS SASL CONTROLLER	write DIR/server.properties
# kafka.sh run DIR				become the broker
# The host process (host.c) calls this; brokers.h lists the KIT_ options.
#
# One process is controller and broker (KRaft). Three things make it start in a
# second instead of six, all kept in the cache: the jars, a data folder formatted
# once (it names no port and no path, so each broker gets a copy) and an archive
# of the loaded classes, written by a throw-away broker when it ends.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
verb=$1 dir=${2:-}
version=${KIT_VERSION:-${POSTA_TEST_KAFKA_VERSION:-4.4.0}}
cache=${POSTA_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/posta}/kafka-$version
cluster=cG9zdGEtdGVzdC1jbHVzdA	# any 16 bytes

java_command() { # sets $java and $archive
	# The archive holds for one JVM and for the same list of jars in the same order.
	local jars
	jars=$(printf '%s:' "$cache"/jars/*.jar)
	archive=$cache/classes-$(stat -L -c %s-%Y "$(command -v java)").jsa
	java=(java -Xms64m -Xmx256m -XX:+UseSerialGC -XX:TieredStopAtLevel=1
		-Xshare:auto -XX:-UsePerfData -Djava.net.preferIPv4Stack=true
		-Djava.awt.headless=true -Dorg.slf4j.simpleLogger.defaultLogLevel=warn
		-Dorg.slf4j.simpleLogger.showDateTime=true
		'-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS'
		-cp "${jars%:}")
}

listeners() { # PLAIN TLS MTLS SASL CONTROLLER
	local open="PLAINTEXT://127.0.0.1:$1"
	[ -z "${KIT_TLS:-}" ] || open+=",SSL://127.0.0.1:$2,MTLS://127.0.0.1:$3"
	[ -z "${KIT_USER:-}" ] || open+=",SASL://127.0.0.1:$4"
	cat <<-END
	controller.quorum.voters=1@127.0.0.1:$5
	listeners=$open,CONTROLLER://127.0.0.1:$5
	advertised.listeners=$open
	END
}

properties() { # DATA PLAIN TLS MTLS SASL CONTROLLER
	cat <<-END
	process.roles=broker,controller
	node.id=1
	controller.listener.names=CONTROLLER
	inter.broker.listener.name=PLAINTEXT
	listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SSL:SSL,MTLS:SSL,SASL:SASL_PLAINTEXT
	log.dirs=$1
	# One node: nothing can have more than one copy.
	default.replication.factor=1
	min.insync.replicas=1
	offsets.topic.replication.factor=1
	offsets.topic.num.partitions=1
	transaction.state.log.replication.factor=1
	transaction.state.log.min.isr=1
	transaction.state.log.num.partitions=1
	share.coordinator.state.topic.replication.factor=1
	share.coordinator.state.topic.min.isr=1
	share.coordinator.state.topic.num.partitions=1
	# Nobody waits: not a group for more members, and a broker killed by force
	# is let in again at once instead of after the 9 s of its old session.
	group.initial.rebalance.delay.ms=0
	group.min.session.timeout.ms=1000
	broker.session.timeout.ms=1000
	broker.heartbeat.interval.ms=200
	controlled.shutdown.enable=false
	auto.create.topics.enable=${KIT_AUTO_CREATE:-true}
	num.partitions=${KIT_PARTITIONS:-1}
	# Small: two cores are shared with the tests.
	num.network.threads=1
	num.io.threads=2
	num.recovery.threads.per.data.dir=1
	num.replica.fetchers=1
	background.threads=2
	log.cleaner.dedupe.buffer.size=4194304
	log.segment.bytes=67108864
	log.index.size.max.bytes=262144
	log.retention.hours=-1
	END
	shift
	listeners "$@"
}

security() {
	if [ -n "${KIT_TLS:-}" ]; then
		cat <<-END
		ssl.keystore.type=PEM
		ssl.keystore.location=$dir/tls/server.both.pem
		ssl.truststore.type=PEM
		ssl.truststore.location=$dir/tls/ca.pem
		ssl.client.auth=none
		listener.name.mtls.ssl.client.auth=required
		END
	fi
	if [ -n "${KIT_USER:-}" ]; then
		local login=org.apache.kafka.common.security
		cat <<-END
		sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512
		listener.name.sasl.plain.sasl.jaas.config=$login.plain.PlainLoginModule required user_$KIT_USER="$KIT_PASSWORD";
		listener.name.sasl.scram-sha-256.sasl.jaas.config=$login.scram.ScramLoginModule required;
		listener.name.sasl.scram-sha-512.sasl.jaas.config=$login.scram.ScramLoginModule required;
		END
	fi
}

fetch_jars() {
	echo "kafka.sh: fetching the jars of Kafka $version, once" >&2
	rm -rf "$cache/jars"
	mvn -q -B -Dstyle.color=never -f "$here/kafka.pom.xml" \
		-Dkafka.version="$version" -Dkafka.jars="$cache/jars" process-resources >&2
	touch "$cache/jars.done"
}

format_data() {
	local log=$cache/format.log
	rm -rf "$cache/data"
	mkdir "$cache/data"
	properties "$cache/data" 1 2 3 4 5 > "$cache/format.properties"
	"${java[@]}" kafka.tools.StorageTool format -t "$cluster" -c "$cache/format.properties" \
		--add-scram 'SCRAM-SHA-256=[name=scram,password=scram-secret]' \
		--add-scram 'SCRAM-SHA-512=[name=scram,password=scram-secret]' \
		> "$log" 2>&1 || { cat "$log" >&2; return 1; }
	touch "$cache/data.done"
}

# A few requests, so that the classes which clients need are in the archive too.
exercise() { # HOST:PORT
	local codec
	for _ in $(seq 300); do
		! kcat -b "$1" -L -m 1 2> /dev/null | grep -q 'broker 1 at' || break
		sleep 0.1
	done
	for codec in none gzip snappy lz4 zstd; do
		echo x | kcat -P -b "$1" -t warm -z $codec
	done
	timeout 20 kcat -b "$1" -G warm -o beginning -c 5 -q warm > /dev/null 2>&1 || true
}

make_archive() (
	dir=$(mktemp -d)
	broker=
	trap '[ -z "$broker" ] || kill -KILL "$broker" 2> /dev/null || true; rm -rf "$dir"' EXIT
	ports=($(python3 -c '
import socket
all = [socket.socket() for _ in range(5)]
for one in all: one.bind(("127.0.0.1", 0))
print(*[one.getsockname()[1] for one in all])'))
	prepare "${ports[@]}"
	setpriv --pdeathsig KILL "${java[@]}" -XX:ArchiveClassesAtExit="$dir/classes" \
		kafka.Kafka "$dir/server.properties" > "$dir/log" 2>&1 < /dev/null &
	broker=$!
	exercise "127.0.0.1:${ports[0]}"
	kill -TERM "$broker"
	wait "$broker" || true
	broker=
	[ -s "$dir/classes" ] || { tail -5 "$dir/log" >&2; exit 1; }
	mv "$dir/classes" "$archive"
)

complete() {
	[ -f "$cache/jars.done" ] && [ -f "$cache/data.done" ] && [ -f "$archive" ]
}

fetch() {
	mkdir -p "$cache"
	java_command
	! complete || return 0
	# Two test runs at once: one fills the cache, the other waits.
	exec 9> "$cache/lock"
	flock 9
	[ -f "$cache/jars.done" ] || fetch_jars 9>&-
	java_command
	[ -f "$cache/data.done" ] || format_data 9>&-
	# Without an archive the broker starts all the same, only later.
	[ -f "$archive" ] || make_archive 9>&- ||
		{ echo 'kafka.sh: no class archive' >&2; : > "$archive"; }
	exec 9>&-
}

prepare() { # PLAIN TLS MTLS SASL CONTROLLER
	cp -r "$cache/data" "$dir/data"
	[ -z "${KIT_TLS:-}" ] || "$here/tls.sh" "$dir"
	{
		properties "$dir/data" "$@"
		security
		[ -z "${KIT_MAX_BYTES:-}" ] || echo "message.max.bytes=$KIT_MAX_BYTES"
		printf '%s\n' "${KIT_CONFIG:-}"
	} > "$dir/server.properties"
}

case $verb in
fetch)
	fetch
	;;
prepare)
	command -v java > /dev/null || { echo 'java is not installed'; exit 77; }
	[ -f "$cache/jars.done" ] || command -v mvn > /dev/null ||
		{ echo 'maven is not installed'; exit 77; }
	fetch
	prepare "${@:3:5}"
	;;
run)
	java_command
	shared=()
	[ ! -s "$archive" ] || shared=(-XX:SharedArchiveFile="$archive")
	cd "$dir"
	exec "${java[@]}" "${shared[@]}" kafka.Kafka "$dir/server.properties"
	;;
esac
