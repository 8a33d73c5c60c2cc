// SPDX-License-Identifier: MIT
//! Workloads of actors that meet around a common one.

use crate::contract::{random, work, Units};
use crate::{stoppable, Done, Stage, Start};
use actix::prelude::*;
use std::collections::HashMap;

pub fn find(name: &str) -> Option<(Start, Units)> {
    Some(match name {
        "chameneos" => (chameneos, (|n| 4 * n, "message")),
        "dictionary" => (dictionary, (|n| n / 20 * 40, "message")),
        "philosophers" => (philosophers, (|n| n / 20 * 20, "meal")),
        "smokers" => (smokers, (|n| 2 * n, "message")),
        _ => return None,
    })
}

#[derive(Message)]
#[rtype(result = "()")]
struct Visit(Addr<Creature>, u32);

#[derive(Message)]
#[rtype(result = "()")]
struct Change(u32);

#[derive(Message)]
#[rtype(result = "()")]
struct Exit;

#[derive(Message)]
#[rtype(result = "()")]
struct Met(u64);

struct Creature {
    mall: Addr<Mall>,
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
        self.mall.do_send(Met(self.meetings));
    }
}

struct Mall {
    left: u64,
    met: u64,
    wanted: u64,
    gone: u32,
    waiting: Option<Addr<Creature>>,
    done: Option<Done>,
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

impl Handler<Met> for Mall {
    type Result = ();
    fn handle(&mut self, met: Met, _: &mut Context<Self>) {
        self.met += met.0;
        self.gone += 1;
        if self.gone == 100 {
            let _ = self.done.take().unwrap().send(self.met == self.wanted);
        }
    }
}

fn chameneos(stage: &mut Stage, n: u64, done: Done) {
    let mall = Mall { left: n, met: 0, wanted: 2 * n, gone: 0, waiting: None, done: Some(done) }.start();
    stage.keep(&mall);
    for i in 0..100 {
        let creature = Creature { mall: mall.clone(), colour: i % 3, meetings: 0 }.start();
        mall.do_send(Visit(creature.clone(), i % 3));
        stage.keep(&creature);
    }
}

#[derive(Message)]
#[rtype(result = "()")]
struct Lookup {
    put: bool,
    key: u64,
    from: Addr<Worker>,
}

#[derive(Message)]
#[rtype(result = "()")]
struct Value(u64);

#[derive(Message)]
#[rtype(result = "()")]
struct Finished(u64);

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

/// Sums what workers report; ends the run when all have.
struct Join {
    missing: u32,
    sum: u64,
    wanted: u64,
    done: Option<Done>,
}

impl Handler<Finished> for Join {
    type Result = ();
    fn handle(&mut self, finished: Finished, _: &mut Context<Self>) {
        self.sum += finished.0;
        self.missing -= 1;
        if self.missing == 0 {
            let _ = self.done.take().unwrap().send(self.sum == self.wanted);
        }
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

impl Handler<Value> for Worker {
    type Result = ();
    fn handle(&mut self, value: Value, context: &mut Context<Self>) {
        self.right += u64::from(value.0 == 0 || value.0 == self.key);
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

fn dictionary(stage: &mut Stage, n: u64, done: Done) {
    let share = n / 20;
    let dictionary = Dictionary { entries: HashMap::with_capacity(4096) }.start();
    let join = Join { missing: 20, sum: 0, wanted: (share + 1) * 20, done: Some(done) }.start();
    stage.keep(&dictionary);
    stage.keep(&join);
    for i in 0..20 {
        let (dictionary, join) = (dictionary.clone(), join.clone());
        let worker = Worker { dictionary, join, left: share, right: 0, key: 0, seed: i * 7919 + 1 }.start();
        worker.do_send(Value(0)); // begins; counts as one that was right
        stage.keep(&worker);
    }
}

#[derive(Message)]
#[rtype(result = "()")]
struct Hungry(Addr<Philosopher>, usize);

#[derive(Message)]
#[rtype(result = "()")]
struct Eaten(usize);

#[derive(Message)]
#[rtype(result = "()")]
struct Reply(bool);

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
        } else {
            self.arbitrator.do_send(Finished(0));
        }
    }
}

struct Arbitrator {
    used: [bool; 20],
    meals: u64,
    wanted: u64,
    gone: u32,
    done: Option<Done>,
}

impl Handler<Hungry> for Arbitrator {
    type Result = ();
    fn handle(&mut self, hungry: Hungry, _: &mut Context<Self>) {
        let (left, right) = (hungry.1, (hungry.1 + 1) % 20);
        let granted = !self.used[left] && !self.used[right];
        if granted {
            self.used[left] = true;
            self.used[right] = true;
        }
        hungry.0.do_send(Reply(granted));
    }
}

impl Handler<Eaten> for Arbitrator {
    type Result = ();
    fn handle(&mut self, eaten: Eaten, _: &mut Context<Self>) {
        self.used[eaten.0] = false;
        self.used[(eaten.0 + 1) % 20] = false;
        self.meals += 1;
    }
}

impl Handler<Finished> for Arbitrator {
    type Result = ();
    fn handle(&mut self, _: Finished, _: &mut Context<Self>) {
        self.gone += 1;
        if self.gone == 20 {
            let _ = self.done.take().unwrap().send(self.meals == self.wanted);
        }
    }
}

fn philosophers(stage: &mut Stage, n: u64, done: Done) {
    let share = n / 20;
    let arbitrator = Arbitrator { used: [false; 20], meals: 0, wanted: share * 20, gone: 0, done: Some(done) }.start();
    stage.keep(&arbitrator);
    for seat in 0..20 {
        let philosopher = Philosopher { arbitrator: arbitrator.clone(), seat, left: share }.start();
        philosopher.do_send(Reply(false));
        stage.keep(&philosopher);
    }
}

#[derive(Message)]
#[rtype(result = "()")]
struct Smoke(u32, Addr<Arbiters>);

#[derive(Message)]
#[rtype(result = "()")]
struct Started;

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
struct Arbiters {
    smokers: Vec<Addr<Smoker>>,
    left: u64,
    seed: u32,
    done: Option<Done>,
}

impl Handler<Started> for Arbiters {
    type Result = ();
    fn handle(&mut self, _: Started, context: &mut Context<Self>) {
        if self.left == 0 {
            let _ = self.done.take().unwrap().send(true);
            return;
        }
        self.left -= 1;
        let chosen = random(&mut self.seed) as usize % 200;
        self.smokers[chosen].do_send(Smoke(random(&mut self.seed) % 50, context.address()));
    }
}

fn smokers(stage: &mut Stage, n: u64, done: Done) {
    let smokers: Vec<_> = (0..200).map(|_| Smoker { smoke: 0 }.start()).collect();
    for smoker in &smokers {
        stage.keep(smoker);
    }
    let arbiter = Arbiters { smokers, left: n, seed: 1, done: Some(done) }.start();
    arbiter.do_send(Started);
    stage.keep(&arbiter);
}

stoppable!(Creature, Mall, Dictionary, Join, Worker, Philosopher, Arbitrator, Smoker, Arbiters);
