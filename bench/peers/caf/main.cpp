// SPDX-License-Identifier: MIT
#include "contract.hpp"

#include <chrono>
#include <cstdlib>
#include <iostream>

namespace {

double once(caf::actor_system &system, const workload &w, uint64_t n)
{
	std::vector<caf::actor> all;
	auto began = std::chrono::steady_clock::now();
	auto right = w.run(system, n, all);
	auto took = std::chrono::steady_clock::now() - began;
	for (auto &actor : all)
		caf::anon_send_exit(actor, caf::exit_reason::kill);
	all.clear();
	system.await_all_actors_done();
	if (!right()) {
		std::cerr << "caf: wrong result" << std::endl;
		std::exit(1);
	}
	return std::chrono::duration<double, std::nano>(took).count();
}

void report(caf::actor_system &system, const std::string &name, const workload &w, uint64_t n)
{
	double ns = once(system, w, n);
	printf("{\"workload\": \"%s\", \"ns_per_message\": %.3f, \"unit\": \"%s\", \"ms\": %.3f}\n", name.c_str(),
	       ns / double(w.units(n)), w.unit, ns / 1e6);
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
	// Work stealing takes the newest first: while customers come back at once, the barber would never have his turn.
	if (found->first == "sleeping-barber")
		config.set("scheduler.policy", caf::atom("sharing"));
	caf::actor_system system{config};
	once(system, found->second, n);
	if (argc < 5) {
		report(system, argv[1], found->second, n);
		return 0;
	}
	std::cout << "ready" << std::endl;
	for (std::string line; std::getline(std::cin, line);)
		report(system, argv[1], found->second, n);
}
