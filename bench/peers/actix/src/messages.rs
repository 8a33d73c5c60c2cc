// SPDX-License-Identifier: MIT
//! The six workloads of the core.

use crate::contract::{random, Units, BURST};
use crate::{stoppable, Done, Stage, Start};
use actix::prelude::*;

pub fn find(name: &str) -> Option<(Start, Units)> {
    Some(match name {
        "ping-pong" => (ping_pong, (|n| n / 2 * 2, "message")),
        "counting" => (counting, (|n| n, "message")),
        "ring" => (ring, (|n| n, "message")),
        "big" => (big, (|n| n / 128 * 128, "message")),
        "fork-join-create" => (fork_join_create, (|n| n, "actor")),
        "fork-join" => (fork_join, (|n| n / 60 * 60, "message")),
        _ => return None,
    })
}

#[derive(Message)]
#[rtype(result = "()")]
struct Ball(u64);

/// Ping and pong alike; the one with done ends it.
struct Player {
    other: Option<Addr<Player>>,
    rallies: u64,
    wanted: u64,
    done: Option<Done>,
}

#[derive(Message)]
#[rtype(result = "()")]
struct Meet(Addr<Player>);

impl Handler<Meet> for Player {
    type Result = ();
    fn handle(&mut self, other: Meet, _: &mut Context<Self>) {
        self.other = Some(other.0);
    }
}

impl Handler<Ball> for Player {
    type Result = ();
    fn handle(&mut self, ball: Ball, _: &mut Context<Self>) {
        self.rallies += 1;
        if ball.0 > 0 {
            self.other.as_ref().unwrap().do_send(Ball(ball.0 - 1));
        } else if let Some(done) = self.done.take() {
            let _ = done.send(self.rallies == self.wanted);
        }
    }
}

fn ping_pong(stage: &mut Stage, n: u64, done: Done) {
    let ping = Player { other: None, rallies: 0, wanted: n / 2, done: Some(done) }.start();
    let pong = Player { other: Some(ping.clone()), rallies: 0, wanted: 0, done: None }.start();
    stage.keep(&ping);
    stage.keep(&pong);
    ping.do_send(Meet(pong.clone()));
    pong.do_send(Ball(n / 2 * 2 - 1));
}

#[derive(Message)]
#[rtype(result = "()")]
struct Count(#[allow(dead_code)] u64);

/// Counts to what is wanted, then tells its join; the last one of them ends the run.
struct Counter {
    counted: u64,
    wanted: u64,
    join: Option<Addr<Counter>>,
    done: Option<Done>,
}

impl Handler<Count> for Counter {
    type Result = ();
    fn handle(&mut self, _: Count, _: &mut Context<Self>) {
        self.counted += 1;
        if self.counted == self.wanted {
            if let Some(join) = &self.join {
                join.do_send(Count(0));
            } else if let Some(done) = self.done.take() {
                let _ = done.send(true);
            }
        }
    }
}

#[derive(Message)]
#[rtype(result = "()")]
struct More(u64);

struct Producer {
    to: Vec<Addr<Counter>>,
}

impl Handler<More> for Producer {
    type Result = ();
    fn handle(&mut self, more: More, context: &mut Context<Self>) {
        let burst = more.0.min(BURST);
        for i in 0..burst {
            self.to[((more.0 - i) % self.to.len() as u64) as usize].do_send(Count(i));
        }
        if more.0 > burst {
            context.address().do_send(More(more.0 - burst));
        }
    }
}

fn counting(stage: &mut Stage, n: u64, done: Done) {
    let counter = Counter { counted: 0, wanted: n, join: None, done: Some(done) }.start();
    let producer = Producer { to: vec![counter.clone()] }.start();
    stage.keep(&counter);
    stage.keep(&producer);
    producer.do_send(More(n));
}

fn fork_join(stage: &mut Stage, n: u64, done: Done) {
    let join = Counter { counted: 0, wanted: 60, join: None, done: Some(done) }.start();
    let mut to = vec![];
    for i in 0..60 {
        let arbiter = &stage.arbiters[i % stage.arbiters.len()];
        let sink = Counter { counted: 0, wanted: n / 60, join: Some(join.clone()), done: None };
        to.push(Counter::start_in_arbiter(arbiter, |_| sink));
    }
    for sink in &to {
        stage.keep(sink);
    }
    stage.keep(&join);
    let producer = Producer { to }.start();
    stage.keep(&producer);
    producer.do_send(More(n / 60 * 60));
}

struct Member {
    next: Option<Addr<Member>>,
    done: Option<Done>,
    last: bool,
}

#[derive(Message)]
#[rtype(result = "()")]
struct Next(Addr<Member>, Option<Done>);

impl Handler<Next> for Member {
    type Result = ();
    fn handle(&mut self, next: Next, _: &mut Context<Self>) {
        self.next = Some(next.0);
        self.done = next.1;
    }
}

impl Handler<Ball> for Member {
    type Result = ();
    fn handle(&mut self, token: Ball, _: &mut Context<Self>) {
        if token.0 > 0 {
            self.next.as_ref().unwrap().do_send(Ball(token.0 - 1));
        } else if let Some(done) = self.done.take() {
            let _ = done.send(self.last);
        }
    }
}

fn ring(stage: &mut Stage, n: u64, done: Done) {
    let end = (n as usize - 1) % 100;
    let mut done = Some(done);
    let members: Vec<_> = (0..100).map(|i| Member { next: None, done: None, last: i == end }.start()).collect();
    for i in 0..100 {
        let done = if i == end { done.take() } else { None };
        members[i].do_send(Next(members[(i + 1) % 100].clone(), done));
        stage.keep(&members[i]);
    }
    members[0].do_send(Ball(n - 1));
}

struct Big {
    bigs: Vec<Addr<Big>>,
    join: Addr<Counter>,
    left: u64,
    answers: u64,
    seed: u32,
}

#[derive(Message)]
#[rtype(result = "()")]
struct Ask(Addr<Big>);

#[derive(Message)]
#[rtype(result = "()")]
struct Answer;

#[derive(Message)]
#[rtype(result = "()")]
struct All(Vec<Addr<Big>>);

impl Big {
    fn next(&mut self, context: &mut Context<Self>) {
        if self.left == 0 {
            self.join.do_send(Count(self.answers));
            return;
        }
        self.left -= 1;
        self.bigs[random(&mut self.seed) as usize % 64].do_send(Ask(context.address()));
    }
}

impl Handler<All> for Big {
    type Result = ();
    fn handle(&mut self, all: All, context: &mut Context<Self>) {
        self.bigs = all.0;
        self.next(context);
    }
}

impl Handler<Ask> for Big {
    type Result = ();
    fn handle(&mut self, ask: Ask, _: &mut Context<Self>) {
        ask.0.do_send(Answer);
    }
}

impl Handler<Answer> for Big {
    type Result = ();
    fn handle(&mut self, _: Answer, context: &mut Context<Self>) {
        self.answers += 1;
        self.next(context);
    }
}

fn big(stage: &mut Stage, n: u64, done: Done) {
    let join = Counter { counted: 0, wanted: 64, join: None, done: Some(done) }.start();
    let big = |i: u32| Big { bigs: vec![], join: join.clone(), left: n / 128, answers: 0, seed: i * 7919 + 1 }.start();
    let bigs: Vec<_> = (0..64).map(big).collect();
    stage.keep(&join);
    for actor in &bigs {
        actor.do_send(All(bigs.clone()));
        stage.keep(actor);
    }
}

#[derive(Message)]
#[rtype(result = "()")]
struct Work(Addr<Counter>);

struct Leaf;

impl Handler<Work> for Leaf {
    type Result = ();
    fn handle(&mut self, work: Work, context: &mut Context<Self>) {
        work.0.do_send(Count(1));
        context.stop();
    }
}

struct Fork {
    join: Addr<Counter>,
}

impl Handler<More> for Fork {
    type Result = ();
    fn handle(&mut self, more: More, context: &mut Context<Self>) {
        let burst = more.0.min(BURST);
        for _ in 0..burst {
            Leaf.start().do_send(Work(self.join.clone()));
        }
        if more.0 > burst {
            context.address().do_send(More(more.0 - burst));
        }
    }
}

/// A fork on each arbiter, so that all threads make actors.
fn fork_join_create(stage: &mut Stage, n: u64, done: Done) {
    let join = Counter { counted: 0, wanted: n, join: None, done: Some(done) }.start();
    let count = stage.arbiters.len() as u64;
    for i in 0..count {
        let arbiter = stage.arbiters[i as usize].clone();
        let to = join.clone();
        let fork = Fork::start_in_arbiter(&arbiter, move |_| Fork { join: to });
        fork.do_send(More(n / count + if i == 0 { n % count } else { 0 }));
        stage.keep(&fork);
    }
    stage.keep(&join);
}

stoppable!(Player, Counter, Producer, Member, Big, Leaf, Fork);
