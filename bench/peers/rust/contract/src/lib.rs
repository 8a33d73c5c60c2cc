// SPDX-License-Identifier: MIT
//! What every peer program does: PROGRAM WORKLOAD THREADS N [paced] prints a line of JSON for a run after a warm-up;
//! with "paced" one for each line of standard input. The workload idle warms up with few actors: what they leave behind
//! would be used again. And what the workloads compute, the same for all programs in Rust.

pub mod jobs;

use std::io::BufRead;
use std::sync::Mutex;
use std::time::Instant;

pub const BURST: u64 = 256;

/// Where quicksort leaves its result, to be looked at after the run.
pub static SORTED: Mutex<Vec<i64>> = Mutex::new(vec![]);

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

/// What starts a workload: every program has modules and functions of these names.
#[macro_export]
macro_rules! find {
    ($name:expr) => {
        match $name {
            "ping-pong" => messages::ping_pong,
            "counting" => messages::counting,
            "ring" => messages::ring,
            "big" => messages::big,
            "fork-join-create" => messages::fork_join_create,
            "fork-join" => messages::fork_join,
            "idle" => messages::idle,
            "chameneos" => meetings::chameneos,
            "dictionary" => meetings::dictionary,
            "philosophers" => meetings::philosophers,
            "smokers" => meetings::smokers,
            "bounded-buffer" => accounts::bounded_buffer,
            "sleeping-barber" => accounts::sleeping_barber,
            "logistic-map" => accounts::logistic_map,
            "bank" => accounts::bank,
            "fib" => computations::fib,
            "nqueens" => computations::nqueens,
            "sieve" => computations::sieve,
            "radix-sort" => computations::radix_sort,
            "quicksort" => computations::quicksort,
            "trapezoid" => computations::trapezoid,
            "matmul" => computations::matmul,
            "astar" => computations::astar,
            _ => $crate::no_such_workload(),
        }
    };
}

pub fn no_such_workload() -> ! {
    eprintln!("no such workload");
    std::process::exit(3);
}

/// What the time is divided by: how many there are, and what they are.
fn units(workload: &str, n: u64) -> (u64, &'static str) {
    match workload {
        "ping-pong" => (n / 2 * 2, "message"),
        "big" => (n / 128 * 128, "message"),
        "fork-join" => (n / 60 * 60, "message"),
        "fork-join-create" | "idle" => (n, "actor"),
        "chameneos" | "bank" => (4 * n, "message"),
        "dictionary" => (n / 20 * 40, "message"),
        "bounded-buffer" => (n / 40 * 160, "message"),
        "philosophers" => (n / 20 * 20, "meal"),
        "sleeping-barber" => (n, "customer"),
        "smokers" => (2 * n, "message"),
        "logistic-map" => (n / 10 * 30, "message"),
        "fib" => (2 * fibonacci(n) - 1, "actor"),
        "radix-sort" => (31 * n, "message"),
        "nqueens" | "sieve" | "quicksort" | "trapezoid" | "matmul" | "astar" => (1, "run"),
        _ => (n, "message"),
    }
}

/// Is the value that a run came to the right one?
fn right(workload: &str, n: u64, value: u64) -> bool {
    let expected = match workload {
        "ping-pong" => n / 2,
        "ring" => (n - 1) % 100,
        "big" => n / 128 * 64,
        "fork-join" => n / 60 * 60,
        "chameneos" => 2 * n,
        "dictionary" | "philosophers" => n / 20 * 20,
        "bounded-buffer" => all_items(n),
        "logistic-map" => rounded((0..10).map(|i| term(i, n / 10)).sum()),
        "fib" => fibonacci(n),
        "nqueens" => [1, 1, 0, 0, 2, 10, 4, 40, 92, 352, 724, 2680, 14200, 73712][n as usize],
        "sieve" => primes(n),
        "radix-sort" => numbers(n).map(|number| number as u64).sum(),
        "quicksort" => return sorted(n),
        "trapezoid" => rounded(jobs::integrate(1.0, 4.0 / (n / 100 * 100) as f64, n / 100 * 100)),
        "matmul" => return value == 0 && jobs::matrices(n as usize).right(),
        "astar" => n * n * n,
        _ => n,
    };
    value == expected
}

/// Takes the time of a run, and by how much the process grew.
pub struct Watch {
    resident: i64,
    began: Instant,
}

/// What a run came to.
pub struct Run {
    ns: f64,
    bytes: i64,
    value: u64,
}

impl Watch {
    pub fn start() -> Self {
        let resident = resident();
        Watch { resident, began: Instant::now() }
    }

    /// Before the actors are stopped.
    pub fn stop(self, value: u64) -> Run {
        let ns = self.began.elapsed().as_nanos() as f64;
        Run { ns, bytes: resident() - self.resident, value }
    }
}

/// Bytes of memory that the process has.
fn resident() -> i64 {
    let pages = std::fs::read_to_string("/proc/self/statm").ok();
    let pages = pages.and_then(|all| all.split(' ').nth(1)?.parse::<i64>().ok());
    pages.expect("the pages of a process") * 4096
}

/// once: runs the workload with a parameter and stops its actors.
pub fn serve(arguments: &Arguments, mut once: impl FnMut(u64) -> Run) {
    let Arguments { workload, n, .. } = arguments;
    let mut run = |n| {
        let run = once(n);
        if !right(workload, n, run.value) {
            eprintln!("wrong result");
            std::process::exit(1);
        }
        run
    };
    let report = |Run { ns, bytes, .. }| {
        let (units, unit) = units(workload, *n);
        let (each, ms) = (ns / units as f64, ns / 1e6);
        print!(
            "{{\"workload\": \"{workload}\", \"ns_per_message\": {each:.3}, \"unit\": \"{unit}\", \"ms\": {ms:.3}, "
        );
        println!("\"bytes_each\": {:.1}}}", bytes as f64 / units as f64);
    };
    run(if workload == "idle" { BURST } else { *n });
    if !arguments.paced {
        report(run(*n));
        return;
    }
    println!("ready");
    for _ in std::io::stdin().lock().lines() {
        report(run(*n));
    }
}

/// The generator that all systems use: 16 bits.
pub fn random(seed: &mut u32) -> u32 {
    *seed = seed.wrapping_mul(1664525).wrapping_add(1013904223);
    *seed >> 16
}

/// 30 bits.
pub fn draw(seed: &mut u32) -> u32 {
    let high = random(seed) & 0x7FFF;
    high << 15 | random(seed) & 0x7FFF
}

/// What is sorted.
pub fn numbers(n: u64) -> impl Iterator<Item = i64> {
    let mut seed = 1;
    (0..n).map(move |_| i64::from(draw(&mut seed)))
}

/// Keeps the CPU busy.
pub fn work(mut seed: u32, iterations: u32) -> u32 {
    for _ in 0..iterations {
        seed = seed.wrapping_mul(1664525).wrapping_add(1013904223);
    }
    seed
}

pub fn rate(series: usize) -> f64 {
    3.46 + 0.0025 * series as f64
}

pub fn first_term(series: usize) -> f64 {
    0.1 + 0.01 * series as f64
}

fn term(series: usize, count: u64) -> f64 {
    (0..count).fold(first_term(series), |x, _| rate(series) * x * (1.0 - x))
}

/// A sum of reals as the value of a run: the order of addition does not show.
pub fn rounded(sum: f64) -> u64 {
    (sum * 1e8).round() as u64
}

fn all_items(n: u64) -> u64 {
    let mut sum = 0u32;
    for mut item in 1..=40 {
        for _ in 0..n / 40 {
            item = work(item, 25);
            sum = sum.wrapping_add(item);
        }
    }
    u64::from(sum)
}

fn fibonacci(n: u64) -> u64 {
    (0..n).fold((0, 1), |(a, b), _| (b, a + b)).0
}

fn primes(n: u64) -> u64 {
    (2..n).filter(|&i| (2..).take_while(|k| k * k <= i).all(|k| i % k != 0)).count() as u64
}

fn sorted(n: u64) -> bool {
    let mut expected: Vec<i64> = numbers(n).collect();
    expected.sort_unstable();
    *SORTED.lock().unwrap() == expected
}
