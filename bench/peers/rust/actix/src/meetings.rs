// SPDX-License-Identifier: MIT
//! Workloads of actors that meet around a common one.

use crate::{messages, stoppable, Finished, Join, Stage};
use actix::prelude::*;
use contract::jobs::Forks;
use contract::{random, work};
use std::collections::HashMap;

messages! {
    struct Visit(Addr<Creature>, u32);
    struct Change(u32);
    struct Exit;
    struct Lookup {
        put: bool,
        key: u64,
        from: Addr<Worker>,
    }
    struct Value(u64);
    struct Hungry(Addr<Philosopher>, usize);
    struct Eaten(usize);
    struct Reply(bool);
    struct Smoke(u32, Addr<Chooser>);
    struct Started;
}

struct Creature {
    mall: Addr<Mall>,
    join: Addr<Join>,
    colour: u32,
    meetings: u64,
}

impl Creature {
    fn again(&mut self, colour: u32, context: &mut Context<Self>) {
        self.colour = colour;
        self.meetings += 1;
        self.mall.do_send(Visit(context.address(), colour));
    }
}

impl Handler<Visit> for Creature {
    type Result = ();
    fn handle(&mut self, visit: Visit, context: &mut Context<Self>) {
        let colour = if self.colour == visit.1 { visit.1 } else { 3 - self.colour - visit.1 };
        visit.0.do_send(Change(colour));
        self.again(colour, context);
    }
}

impl Handler<Change> for Creature {
    type Result = ();
    fn handle(&mut self, change: Change, context: &mut Context<Self>) {
        self.again(change.0, context);
    }
}

impl Handler<Exit> for Creature {
    type Result = ();
    fn handle(&mut self, _: Exit, _: &mut Context<Self>) {
        self.join.do_send(Finished(self.meetings));
    }
}

struct Mall {
    left: u64,
    waiting: Option<Addr<Creature>>,
}

impl Handler<Visit> for Mall {
    type Result = ();
    fn handle(&mut self, visit: Visit, _: &mut Context<Self>) {
        if self.left == 0 {
            visit.0.do_send(Exit);
        } else if let Some(first) = self.waiting.take() {
            self.left -= 1;
            first.do_send(visit);
        } else {
            self.waiting = Some(visit.0);
        }
    }
}

pub fn chameneos(stage: &mut Stage, n: u64) {
    let join = stage.join(100);
    let mall = stage.start(Mall { left: n, waiting: None });
    for i in 0..100 {
        let creature = Creature { mall: mall.clone(), join: join.clone(), colour: i % 3, meetings: 0 };
        mall.do_send(Visit(stage.start(creature), i % 3));
    }
}

struct Dictionary {
    entries: HashMap<u64, u64>,
}

impl Handler<Lookup> for Dictionary {
    type Result = ();
    fn handle(&mut self, lookup: Lookup, _: &mut Context<Self>) {
        if lookup.put {
            self.entries.insert(lookup.key, lookup.key);
        }
        lookup.from.do_send(Value(self.entries.get(&lookup.key).copied().unwrap_or(0)));
    }
}

struct Worker {
    dictionary: Addr<Dictionary>,
    join: Addr<Join>,
    left: u64,
    right: u64,
    key: u64,
    seed: u32,
}

impl Worker {
    fn ask(&mut self, context: &mut Context<Self>) {
        if self.left == 0 {
            self.join.do_send(Finished(self.right));
            return;
        }
        self.left -= 1;
        self.key = u64::from(random(&mut self.seed) % 4096 + 1);
        let put = random(&mut self.seed) % 100 < 10;
        self.dictionary.do_send(Lookup { put, key: self.key, from: context.address() });
    }
}

impl Handler<Started> for Worker {
    type Result = ();
    fn handle(&mut self, _: Started, context: &mut Context<Self>) {
        self.ask(context);
    }
}

impl Handler<Value> for Worker {
    type Result = ();
    fn handle(&mut self, value: Value, context: &mut Context<Self>) {
        self.right += u64::from(value.0 == 0 || value.0 == self.key);
        self.ask(context);
    }
}

pub fn dictionary(stage: &mut Stage, n: u64) {
    let join = stage.join(20);
    let dictionary = stage.start(Dictionary { entries: HashMap::with_capacity(4096) });
    for i in 0..20 {
        let (dictionary, join) = (dictionary.clone(), join.clone());
        let worker = Worker { dictionary, join, left: n / 20, right: 0, key: 0, seed: i * 7919 + 1 };
        stage.start(worker).do_send(Started);
    }
}

struct Philosopher {
    arbitrator: Addr<Arbitrator>,
    seat: usize,
    left: u64,
}

impl Handler<Reply> for Philosopher {
    type Result = ();
    fn handle(&mut self, granted: Reply, context: &mut Context<Self>) {
        if granted.0 {
            self.arbitrator.do_send(Eaten(self.seat));
            self.left -= 1;
        }
        if self.left > 0 {
            self.arbitrator.do_send(Hungry(context.address(), self.seat));
        }
    }
}

struct Arbitrator {
    forks: Forks,
    meals: u64,
    wanted: u64,
    join: Addr<Join>,
}

impl Handler<Hungry> for Arbitrator {
    type Result = ();
    fn handle(&mut self, hungry: Hungry, _: &mut Context<Self>) {
        hungry.0.do_send(Reply(self.forks.take(hungry.1)));
    }
}

impl Handler<Eaten> for Arbitrator {
    type Result = ();
    fn handle(&mut self, eaten: Eaten, _: &mut Context<Self>) {
        self.forks.put_back(eaten.0);
        self.meals += 1;
        if self.meals == self.wanted {
            self.join.do_send(Finished(self.meals));
        }
    }
}

pub fn philosophers(stage: &mut Stage, n: u64) {
    let join = stage.join(1);
    let arbitrator = Arbitrator { forks: Forks::default(), meals: 0, wanted: n / 20 * 20, join };
    let arbitrator = stage.start(arbitrator);
    for seat in 0..20 {
        let philosopher = Philosopher { arbitrator: arbitrator.clone(), seat, left: n / 20 };
        stage.start(philosopher).do_send(Reply(false));
    }
}

struct Smoker {
    smoke: u32,
}

impl Handler<Smoke> for Smoker {
    type Result = ();
    fn handle(&mut self, message: Smoke, _: &mut Context<Self>) {
        message.1.do_send(Started);
        self.smoke = work(self.smoke, message.0);
    }
}

/// The arbiter of the smokers (Actix has a meaning of its own for that word).
struct Chooser {
    smokers: Vec<Addr<Smoker>>,
    rounds: u64,
    wanted: u64,
    seed: u32,
    join: Addr<Join>,
}

impl Handler<Started> for Chooser {
    type Result = ();
    fn handle(&mut self, _: Started, context: &mut Context<Self>) {
        if self.rounds == self.wanted {
            self.join.do_send(Finished(self.rounds));
            return;
        }
        self.rounds += 1;
        let (chosen, iterations) = contract::jobs::smoke(&mut self.seed);
        self.smokers[chosen].do_send(Smoke(iterations, context.address()));
    }
}

pub fn smokers(stage: &mut Stage, n: u64) {
    let join = stage.join(1);
    let smokers = (0..200).map(|_| stage.start(Smoker { smoke: 0 })).collect();
    stage.start(Chooser { smokers, rounds: 0, wanted: n, seed: 1, join }).do_send(Started);
}

stoppable!(Creature, Mall, Dictionary, Worker, Philosopher, Arbitrator, Smoker, Chooser);
