// SPDX-License-Identifier: MIT
//! What every peer program does: PROGRAM WORKLOAD THREADS N [paced] prints a line of JSON for a run after a warm-up; with
//! "paced" one for each line of standard input.

use std::io::BufRead;

#[allow(dead_code)]
pub const BURST: u64 = 256;

/// What the time is divided by: how many there are, and what they are.
pub type Units = (fn(u64) -> u64, &'static str);

pub struct Arguments {
    pub workload: String,
    pub threads: usize,
    pub n: u64,
    paced: bool,
}

pub fn arguments() -> Arguments {
    let given: Vec<String> = std::env::args().collect();
    if given.len() < 4 {
        eprintln!("usage: {} WORKLOAD THREADS N [paced]", given[0]);
        std::process::exit(2);
    }
    Arguments {
        workload: given[1].clone(),
        threads: given[2].parse().expect("a number of threads"),
        n: given[3].parse().expect("a size"),
        paced: given.len() > 4,
    }
}

pub fn no_such_workload() -> ! {
    eprintln!("no such workload");
    std::process::exit(3);
}

/// once: runs the workload, stops its actors, and returns its nanoseconds.
pub fn serve(arguments: &Arguments, units: Units, mut once: impl FnMut() -> u128) {
    let report = |ns: u128| {
        println!(
            "{{\"workload\": \"{}\", \"ns_per_message\": {:.3}, \"unit\": \"{}\", \"ms\": {:.3}}}",
            arguments.workload,
            ns as f64 / (units.0)(arguments.n) as f64,
            units.1,
            ns as f64 / 1e6
        );
    };
    once();
    if !arguments.paced {
        report(once());
        return;
    }
    println!("ready");
    for _ in std::io::stdin().lock().lines() {
        report(once());
    }
}

/// The generator that all systems use: 16 bits.
pub fn random(seed: &mut u32) -> u32 {
    *seed = seed.wrapping_mul(1664525).wrapping_add(1013904223);
    *seed >> 16
}

#[allow(dead_code)]
pub fn work(mut seed: u32, iterations: u32) -> u32 {
    for _ in 0..iterations {
        seed = seed.wrapping_mul(1664525).wrapping_add(1013904223);
    }
    seed
}

pub fn check(right: bool) {
    if !right {
        eprintln!("wrong result");
        std::process::exit(1);
    }
}
