// SPDX-License-Identifier: MIT
//! Workloads that compute.

use crate::{messages, stoppable, Finished, Join, Real, Stage};
use actix::prelude::*;
use contract::jobs::*;
use contract::{draw, numbers, BURST, SORTED};

messages! {
    struct Value(u64);
    struct Dealt<I: Send + 'static>(I);
    struct Given<I: Send + 'static>(I);
    struct Did(u64);
    struct Candidate(u32);
    struct End(u64);
    struct More;
    struct Number(u32);
    struct Sort(Vec<i64>);
    struct Sorted(usize, Vec<i64>);
    struct Range(f64, f64, u64);
}

enum Parent {
    Call(Addr<Fib>),
    Root(Addr<Join>),
}

struct Fib {
    n: u64,
    parent: Parent,
    sum: u64,
    missing: u32,
}

impl Fib {
    fn finish(&mut self, value: u64, context: &mut Context<Self>) {
        match &self.parent {
            Parent::Call(parent) => parent.do_send(Value(value)),
            Parent::Root(join) => join.do_send(Finished(value)),
        }
        context.stop();
    }
}

impl Actor for Fib {
    type Context = Context<Self>;
    fn started(&mut self, context: &mut Self::Context) {
        if self.n <= 2 {
            return self.finish(1, context);
        }
        for n in [self.n - 1, self.n - 2] {
            Fib { n, parent: Parent::Call(context.address()), sum: 0, missing: 2 }.start();
        }
    }
}

impl Handler<Value> for Fib {
    type Result = ();
    fn handle(&mut self, value: Value, context: &mut Context<Self>) {
        self.sum += value.0;
        self.missing -= 1;
        if self.missing == 0 {
            self.finish(self.sum, context);
        }
    }
}

pub fn fib(stage: &mut Stage, n: u64) {
    let parent = Parent::Root(stage.join(1));
    Fib { n, parent, sum: 0, missing: 2 }.start();
}

struct Dealer<J: Job> {
    workers: Vec<Addr<Worker<J>>>,
    missing: u64,
    dealt: usize,
    sum: u64,
    join: Addr<Join>,
}

struct Worker<J: Job> {
    job: J,
    dealer: Addr<Dealer<J>>,
}

impl<J: Job> Handler<Dealt<J::Item>> for Worker<J> {
    type Result = ();
    fn handle(&mut self, dealt: Dealt<J::Item>, _: &mut Context<Self>) {
        let done = self.job.work(dealt.0, |item| self.dealer.do_send(Given(item)));
        self.dealer.do_send(Did(done));
    }
}

impl<J: Job> Handler<Given<J::Item>> for Dealer<J> {
    type Result = ();
    fn handle(&mut self, given: Given<J::Item>, _: &mut Context<Self>) {
        self.missing += 1;
        self.workers[self.dealt % 20].do_send(Dealt(given.0));
        self.dealt += 1;
    }
}

impl<J: Job> Handler<Did> for Dealer<J> {
    type Result = ();
    fn handle(&mut self, did: Did, _: &mut Context<Self>) {
        self.sum += did.0;
        self.missing -= 1;
        if self.missing == 0 {
            self.join.do_send(Finished(self.sum));
        }
    }
}

fn deal<J: Job>(stage: &mut Stage, job: J, first: J::Item) {
    let join = stage.join(1);
    let dealer = Dealer::create(|context| {
        let worker = |i| stage.spread(i, Worker { job: job.clone(), dealer: context.address() });
        Dealer { workers: (0..20).map(worker).collect(), missing: 0, dealt: 0, sum: 0, join }
    });
    stage.keep(dealer).do_send(Given(first));
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

struct Filter {
    primes: Primes,
    next: Option<Addr<Filter>>,
    join: Addr<Join>,
}

impl Handler<Candidate> for Filter {
    type Result = ();
    fn handle(&mut self, candidate: Candidate, _: &mut Context<Self>) {
        if self.primes.pass(candidate.0) {
            let (join, next) = (&self.join, &mut self.next);
            let new = || Filter { primes: Primes::default(), next: None, join: join.clone() }.start();
            next.get_or_insert_with(new).do_send(candidate);
        }
    }
}

impl Handler<End> for Filter {
    type Result = ();
    fn handle(&mut self, before: End, context: &mut Context<Self>) {
        let count = before.0 + self.primes.count();
        match &self.next {
            Some(next) => next.do_send(End(count)),
            None => self.join.do_send(Finished(count)),
        }
        context.stop();
    }
}

struct Candidates {
    first: Addr<Filter>,
    next: u32,
    end: u32,
}

impl Handler<More> for Candidates {
    type Result = ();
    fn handle(&mut self, _: More, context: &mut Context<Self>) {
        for _ in 0..BURST {
            if self.next >= self.end {
                return self.first.do_send(End(1)); // 2 is one
            }
            self.first.do_send(Candidate(self.next));
            self.next += 2;
        }
        context.address().do_send(More);
    }
}

pub fn sieve(stage: &mut Stage, n: u64) {
    let join = stage.join(1);
    let first = stage.start(Filter { primes: Primes::default(), next: None, join });
    stage.start(Candidates { first, next: 3, end: n as u32 }).do_send(More);
}

enum Next {
    Digit(Addr<Digit>),
    Sink(Addr<Sink>),
}

impl Next {
    fn send(&self, number: u32) {
        match self {
            Next::Digit(next) => next.do_send(Number(number)),
            Next::Sink(sink) => sink.do_send(Number(number)),
        }
    }
}

struct Digit {
    sorter: Sorter,
    next: Next,
}

impl Handler<Number> for Digit {
    type Result = ();
    fn handle(&mut self, number: Number, _: &mut Context<Self>) {
        self.sorter.sort(number.0, |number| self.next.send(number));
    }
}

struct Sink {
    sum: Sum,
    join: Addr<Join>,
}

impl Handler<Number> for Sink {
    type Result = ();
    fn handle(&mut self, number: Number, _: &mut Context<Self>) {
        if let Some(sum) = self.sum.add(number.0) {
            self.join.do_send(Finished(sum));
        }
    }
}

struct Source {
    first: Next,
    left: u64,
    seed: u32,
}

impl Handler<More> for Source {
    type Result = ();
    fn handle(&mut self, _: More, context: &mut Context<Self>) {
        let burst = self.left.min(BURST);
        for _ in 0..burst {
            self.first.send(draw(&mut self.seed));
        }
        self.left -= burst;
        if self.left > 0 {
            context.address().do_send(More);
        }
    }
}

pub fn radix_sort(stage: &mut Stage, n: u64) {
    let join = stage.join(1);
    let mut next = Next::Sink(stage.start(Sink { sum: Sum::new(n), join }));
    for bit in (0..30).rev() {
        next = Next::Digit(stage.start(Digit { sorter: Sorter::new(bit, n), next }));
    }
    stage.start(Source { first: next, left: n, seed: 1 }).do_send(More);
}

struct Quick {
    parent: Result<Addr<Quick>, Addr<Join>>,
    side: usize,
    parts: Parts,
}

impl Quick {
    fn new(parent: Result<Addr<Quick>, Addr<Join>>, side: usize) -> Addr<Quick> {
        Quick { parent, side, parts: Parts::default() }.start()
    }

    fn hand_up(&mut self, sorted: Vec<i64>, context: &mut Context<Self>) {
        match &self.parent {
            Ok(parent) => parent.do_send(Sorted(self.side, sorted)),
            Err(join) => {
                *SORTED.lock().unwrap() = sorted;
                join.do_send(Finished(0));
            }
        }
        context.stop();
    }
}

impl Handler<Sort> for Quick {
    type Result = ();
    fn handle(&mut self, items: Sort, context: &mut Context<Self>) {
        match split(items.0) {
            Ok(sorted) => self.hand_up(sorted, context),
            Err((less, equal, more)) => {
                self.parts.equal = equal;
                Quick::new(Ok(context.address()), 0).do_send(Sort(less));
                Quick::new(Ok(context.address()), 1).do_send(Sort(more));
            }
        }
    }
}

impl Handler<Sorted> for Quick {
    type Result = ();
    fn handle(&mut self, Sorted(side, items): Sorted, context: &mut Context<Self>) {
        if let Some(whole) = self.parts.put(side, items) {
            self.hand_up(whole, context);
        }
    }
}

pub fn quicksort(stage: &mut Stage, n: u64) {
    let join = stage.join(1);
    Quick::new(Err(join), 0).do_send(Sort(numbers(n).collect()));
}

struct Integrator {
    join: Addr<Join>,
}

impl Handler<Range> for Integrator {
    type Result = ();
    fn handle(&mut self, Range(left, width, pieces): Range, _: &mut Context<Self>) {
        self.join.do_send(Real(integrate(left, width, pieces)));
    }
}

pub fn trapezoid(stage: &mut Stage, n: u64) {
    let join = stage.join(100);
    for (i, (left, width, pieces)) in ranges(n).enumerate() {
        stage.spread(i, Integrator { join: join.clone() }).do_send(Range(left, width, pieces));
    }
}

stoppable!(Dealer<J: Job>, Worker<J: Job>, Filter, Candidates, Digit, Sink, Source, Quick, Integrator);
