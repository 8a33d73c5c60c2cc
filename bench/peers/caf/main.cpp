// SPDX-License-Identifier: MIT
#include "contract.hpp"

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <unistd.h>

namespace {

struct figures {
	double ns, bytes;
};

// Bytes of memory that the process has.
double resident()
{
	double all = 0, here = 0;
	std::ifstream("/proc/self/statm") >> all >> here;
	return here * double(sysconf(_SC_PAGESIZE));
}

figures once(caf::actor_system &system, const workload &w, uint64_t n)
{
	std::vector<caf::actor> all;
	double before = resident();
	auto began = std::chrono::steady_clock::now();
	auto right = w.run(system, n, all);
	std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - began;
	double grown = resident() - before;
	for (auto &actor : all)
		caf::anon_send_exit(actor, caf::exit_reason::kill);
	all.clear();
	system.await_all_actors_done();
	if (!right()) {
		std::cerr << "caf: wrong result" << std::endl;
		std::exit(1);
	}
	return {took.count(), grown};
}

void report(caf::actor_system &system, const std::string &name, const workload &w, uint64_t n)
{
	auto [ns, bytes] = once(system, w, n);
	double units = double(w.units(n));
	printf("{\"workload\": \"%s\", \"ns_per_message\": %.3f, \"unit\": \"%s\", ", name.c_str(), ns / units, w.unit);
	printf("\"ms\": %.3f, \"bytes_each\": %.1f}\n", ns / 1e6, bytes / units);
	fflush(stdout);
}

} // namespace

int main(int argc, char **argv)
{
	workload_map workloads;
	add_messages(workloads);
	add_meetings(workloads);
	add_accounts(workloads);
	add_computations(workloads);
	if (argc < 4) {
		std::cerr << "usage: caf WORKLOAD THREADS N [paced]" << std::endl;
		return 2;
	}
	auto found = workloads.find(argv[1]);
	if (found == workloads.end()) {
		std::cerr << "caf: no such workload" << std::endl;
		return 3;
	}
	uint64_t n = strtoull(argv[3], nullptr, 10);
	caf::actor_system_config config;
	config.set("scheduler.max-threads", size_t(atoi(argv[2])));
	// Work stealing takes the newest first: while customers come back at once, the barber would have no turn.
	if (found->first == "sleeping-barber")
		config.set("scheduler.policy", caf::atom("sharing"));
	caf::actor_system system{config};
	once(system, found->second, found->first == "idle" ? burst : n);
	if (argc < 5) {
		report(system, argv[1], found->second, n);
		return 0;
	}
	std::cout << "ready" << std::endl;
	for (std::string line; std::getline(std::cin, line);)
		report(system, argv[1], found->second, n);
}
