// SPDX-License-Identifier: MIT
//! Workloads that compute.

use crate::{spawn, tell, Role, Stage, Told};
use contract::jobs::*;
use contract::{draw, numbers, BURST, SORTED};
use ractor::ActorRef;

/// Whom an actor of a tree reports to.
enum Parent<M> {
    Actor(ActorRef<M>),
    Root(ActorRef<Told>),
}

struct Fib {
    n: u64,
    parent: Parent<u64>,
    sum: u64,
    missing: u32,
}

impl Fib {
    fn finish(&mut self, value: u64, myself: &ActorRef<u64>) {
        match &self.parent {
            Parent::Actor(parent) => tell(parent, value),
            Parent::Root(join) => tell(join, Told::Finished(value)),
        }
        myself.stop(None);
    }
}

impl Role for Fib {
    type Message = u64;
    fn started(&mut self, myself: &ActorRef<u64>) {
        if self.n <= 2 {
            return self.finish(1, myself);
        }
        for n in [self.n - 1, self.n - 2] {
            spawn(Fib { n, parent: Parent::Actor(myself.clone()), sum: 0, missing: 2 });
        }
    }

    fn handle(&mut self, myself: &ActorRef<u64>, value: u64) {
        self.sum += value;
        self.missing -= 1;
        if self.missing == 0 {
            self.finish(self.sum, myself);
        }
    }
}

pub fn fib(stage: &mut Stage, n: u64) {
    let parent = Parent::Root(stage.join(1));
    spawn(Fib { n, parent, sum: 0, missing: 2 });
}

enum Deal<J: Job> {
    Workers(Vec<ActorRef<J::Item>>),
    Given(J::Item),
    Did(u64),
}

struct Dealer<J: Job> {
    workers: Vec<ActorRef<J::Item>>,
    missing: u64,
    dealt: usize,
    sum: u64,
    join: ActorRef<Told>,
}

impl<J: Job> Role for Dealer<J> {
    type Message = Deal<J>;
    fn handle(&mut self, _: &ActorRef<Deal<J>>, deal: Deal<J>) {
        match deal {
            Deal::Workers(workers) => self.workers = workers,
            Deal::Given(item) => {
                self.missing += 1;
                tell(&self.workers[self.dealt % 20], item);
                self.dealt += 1;
            }
            Deal::Did(value) => {
                self.sum += value;
                self.missing -= 1;
                if self.missing == 0 {
                    tell(&self.join, Told::Finished(self.sum));
                }
            }
        }
    }
}

struct Worker<J: Job> {
    job: J,
    dealer: ActorRef<Deal<J>>,
}

impl<J: Job> Role for Worker<J> {
    type Message = J::Item;
    fn handle(&mut self, _: &ActorRef<J::Item>, item: J::Item) {
        let value = self.job.work(item, |item| tell(&self.dealer, Deal::Given(item)));
        tell(&self.dealer, Deal::Did(value));
    }
}

fn deal<J: Job>(stage: &mut Stage, job: J, first: J::Item) {
    let join = stage.join(1);
    let dealer = stage.start(Dealer::<J> { workers: vec![], missing: 0, dealt: 0, sum: 0, join });
    let worker = |_| stage.start(Worker { job: job.clone(), dealer: dealer.clone() });
    tell(&dealer, Deal::Workers((0..20).map(worker).collect()));
    tell(&dealer, Deal::Given(first));
}

pub fn nqueens(stage: &mut Stage, n: u64) {
    deal(stage, Queens::new(n), Board::default());
}

pub fn astar(stage: &mut Stage, n: u64) {
    deal(stage, Search::new(n), 0);
}

pub fn matmul(stage: &mut Stage, n: u64) {
    matrices(n as usize);
    deal(stage, Product, Product::whole(n));
}

enum Candidate {
    Number(u32),
    End(u64),
}

struct Filter {
    primes: Primes,
    next: Option<ActorRef<Candidate>>,
    join: ActorRef<Told>,
}

impl Role for Filter {
    type Message = Candidate;
    fn handle(&mut self, myself: &ActorRef<Candidate>, candidate: Candidate) {
        match candidate {
            Candidate::Number(number) => {
                if self.primes.pass(number) {
                    let join = &self.join;
                    let new = || spawn(Filter { primes: Primes::default(), next: None, join: join.clone() });
                    tell(self.next.get_or_insert_with(new), candidate);
                }
            }
            Candidate::End(before) => {
                let count = before + self.primes.count();
                match &self.next {
                    Some(next) => tell(next, Candidate::End(count)),
                    None => tell(&self.join, Told::Finished(count)),
                }
                myself.stop(None);
            }
        }
    }
}

struct More;

struct Candidates {
    first: ActorRef<Candidate>,
    next: u32,
    end: u32,
}

impl Role for Candidates {
    type Message = More;
    fn handle(&mut self, myself: &ActorRef<More>, _: More) {
        for _ in 0..BURST {
            if self.next >= self.end {
                return tell(&self.first, Candidate::End(1)); // 2 is one
            }
            tell(&self.first, Candidate::Number(self.next));
            self.next += 2;
        }
        tell(myself, More);
    }
}

pub fn sieve(stage: &mut Stage, n: u64) {
    let join = stage.join(1);
    let first = stage.start(Filter { primes: Primes::default(), next: None, join });
    tell(&stage.start(Candidates { first, next: 3, end: n as u32 }), More);
}

struct Digit {
    sorter: Sorter,
    next: ActorRef<u32>,
}

impl Role for Digit {
    type Message = u32;
    fn handle(&mut self, _: &ActorRef<u32>, number: u32) {
        self.sorter.sort(number, |number| tell(&self.next, number));
    }
}

struct Sink {
    sum: Sum,
    join: ActorRef<Told>,
}

impl Role for Sink {
    type Message = u32;
    fn handle(&mut self, _: &ActorRef<u32>, number: u32) {
        if let Some(sum) = self.sum.add(number) {
            tell(&self.join, Told::Finished(sum));
        }
    }
}

struct Source {
    first: ActorRef<u32>,
    left: u64,
    seed: u32,
}

impl Role for Source {
    type Message = More;
    fn handle(&mut self, myself: &ActorRef<More>, _: More) {
        let burst = self.left.min(BURST);
        for _ in 0..burst {
            tell(&self.first, draw(&mut self.seed));
        }
        self.left -= burst;
        if self.left > 0 {
            tell(myself, More);
        }
    }
}

pub fn radix_sort(stage: &mut Stage, n: u64) {
    let join = stage.join(1);
    let mut next = stage.start(Sink { sum: Sum::new(n), join });
    for bit in (0..30).rev() {
        next = stage.start(Digit { sorter: Sorter::new(bit, n), next });
    }
    tell(&stage.start(Source { first: next, left: n, seed: 1 }), More);
}

enum Array {
    Sort(Vec<i64>),
    Sorted(usize, Vec<i64>),
}

struct Quick {
    parent: Parent<Array>,
    side: usize,
    parts: Parts,
}

impl Quick {
    fn new(parent: Parent<Array>, side: usize) -> ActorRef<Array> {
        spawn(Quick { parent, side, parts: Parts::default() })
    }

    fn hand_up(&mut self, sorted: Vec<i64>, myself: &ActorRef<Array>) {
        match &self.parent {
            Parent::Actor(parent) => tell(parent, Array::Sorted(self.side, sorted)),
            Parent::Root(join) => {
                *SORTED.lock().unwrap() = sorted;
                tell(join, Told::Finished(0));
            }
        }
        myself.stop(None);
    }
}

impl Role for Quick {
    type Message = Array;
    fn handle(&mut self, myself: &ActorRef<Array>, array: Array) {
        match array {
            Array::Sort(items) => match split(items) {
                Ok(sorted) => self.hand_up(sorted, myself),
                Err((less, equal, more)) => {
                    self.parts.equal = equal;
                    tell(&Quick::new(Parent::Actor(myself.clone()), 0), Array::Sort(less));
                    tell(&Quick::new(Parent::Actor(myself.clone()), 1), Array::Sort(more));
                }
            },
            Array::Sorted(side, items) => {
                if let Some(whole) = self.parts.put(side, items) {
                    self.hand_up(whole, myself);
                }
            }
        }
    }
}

pub fn quicksort(stage: &mut Stage, n: u64) {
    let join = stage.join(1);
    tell(&Quick::new(Parent::Root(join), 0), Array::Sort(numbers(n).collect()));
}

struct Range(f64, f64, u64);

struct Integrator {
    join: ActorRef<Told>,
}

impl Role for Integrator {
    type Message = Range;
    fn handle(&mut self, _: &ActorRef<Range>, Range(left, width, pieces): Range) {
        tell(&self.join, Told::Real(integrate(left, width, pieces)));
    }
}

pub fn trapezoid(stage: &mut Stage, n: u64) {
    let join = stage.join(100);
    for (left, width, pieces) in ranges(n) {
        tell(&stage.start(Integrator { join: join.clone() }), Range(left, width, pieces));
    }
}
