// SPDX-License-Identifier: MIT
//! The six workloads of the core, and what an idle actor needs.

use crate::{messages, stoppable, Finished, Join, Stage};
use actix::prelude::*;
use contract::{random, BURST};

messages! {
    struct Ball(u64);
    struct Meet(Addr<Player>);
    struct Count(#[allow(dead_code)] u64);
    struct More(u64);
    struct Next(Addr<Member>);
    struct Ask(Addr<Big>);
    struct Answer;
    struct All(Vec<Addr<Big>>);
    struct Work(Addr<Counter>);
}

/// Ping and pong alike.
struct Player {
    other: Option<Addr<Player>>,
    join: Addr<Join>,
    rallies: u64,
}

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
        } else {
            self.join.do_send(Finished(self.rallies));
        }
    }
}

pub fn ping_pong(stage: &mut Stage, n: u64) {
    let join = stage.join(1);
    let ping = stage.start(Player { other: None, join: join.clone(), rallies: 0 });
    let pong = stage.start(Player { other: Some(ping.clone()), join, rallies: 0 });
    ping.do_send(Meet(pong.clone()));
    pong.do_send(Ball(n / 2 * 2 - 1));
}

struct Counter {
    counted: u64,
    wanted: u64,
    join: Addr<Join>,
}

impl Handler<Count> for Counter {
    type Result = ();
    fn handle(&mut self, _: Count, _: &mut Context<Self>) {
        self.counted += 1;
        if self.counted == self.wanted {
            self.join.do_send(Finished(self.counted));
        }
    }
}

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

pub fn counting(stage: &mut Stage, n: u64) {
    let join = stage.join(1);
    let counter = stage.start(Counter { counted: 0, wanted: n, join });
    stage.start(Producer { to: vec![counter] }).do_send(More(n));
}

pub fn fork_join(stage: &mut Stage, n: u64) {
    let join = stage.join(60);
    let to = (0..60).map(|i| stage.spread(i, Counter { counted: 0, wanted: n / 60, join: join.clone() })).collect();
    stage.start(Producer { to }).do_send(More(n / 60 * 60));
}

struct Member {
    index: u64,
    next: Option<Addr<Member>>,
    join: Addr<Join>,
}

impl Handler<Next> for Member {
    type Result = ();
    fn handle(&mut self, next: Next, _: &mut Context<Self>) {
        self.next = Some(next.0);
    }
}

impl Handler<Ball> for Member {
    type Result = ();
    fn handle(&mut self, token: Ball, _: &mut Context<Self>) {
        if token.0 > 0 {
            self.next.as_ref().unwrap().do_send(Ball(token.0 - 1));
        } else {
            self.join.do_send(Finished(self.index));
        }
    }
}

pub fn ring(stage: &mut Stage, n: u64) {
    let join = stage.join(1);
    let members: Vec<_> = (0..100).map(|index| stage.start(Member { index, next: None, join: join.clone() })).collect();
    for i in 0..100 {
        members[i].do_send(Next(members[(i + 1) % 100].clone()));
    }
    members[0].do_send(Ball(n - 1));
}

struct Big {
    bigs: Vec<Addr<Big>>,
    join: Addr<Join>,
    left: u64,
    answers: u64,
    seed: u32,
}

impl Big {
    fn next(&mut self, context: &mut Context<Self>) {
        if self.left == 0 {
            self.join.do_send(Finished(self.answers));
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

pub fn big(stage: &mut Stage, n: u64) {
    let join = stage.join(64);
    let big = |i: u32| Big { bigs: vec![], join: join.clone(), left: n / 128, answers: 0, seed: i * 7919 + 1 };
    let bigs: Vec<_> = (0..64).map(|i| stage.start(big(i))).collect();
    for actor in &bigs {
        actor.do_send(All(bigs.clone()));
    }
}

/// Answers, and then ends or stays.
struct Leaf {
    stays: bool,
}

impl Handler<Work> for Leaf {
    type Result = ();
    fn handle(&mut self, work: Work, context: &mut Context<Self>) {
        work.0.do_send(Count(1));
        if !self.stays {
            context.stop();
        }
    }
}

/// An actor whose last address goes ends: those that stay are kept.
struct Fork {
    counter: Addr<Counter>,
    stay: bool,
    kept: Vec<Addr<Leaf>>,
}

impl Handler<More> for Fork {
    type Result = ();
    fn handle(&mut self, more: More, context: &mut Context<Self>) {
        let burst = more.0.min(BURST);
        for _ in 0..burst {
            let leaf = Leaf { stays: self.stay }.start();
            leaf.do_send(Work(self.counter.clone()));
            if self.stay {
                self.kept.push(leaf);
            }
        }
        if more.0 > burst {
            context.address().do_send(More(more.0 - burst));
        }
    }
}

/// A fork on each arbiter, so that all threads make actors.
pub fn fork_join_create(stage: &mut Stage, n: u64) {
    let join = stage.join(1);
    let counter = stage.start(Counter { counted: 0, wanted: n, join });
    let count = stage.arbiters.len() as u64;
    for i in 0..count {
        let fork = stage.spread(i as usize, Fork { counter: counter.clone(), stay: false, kept: vec![] });
        fork.do_send(More(n / count + if i == 0 { n % count } else { 0 }));
    }
}

pub fn idle(stage: &mut Stage, n: u64) {
    let join = stage.join(1);
    let counter = stage.start(Counter { counted: 0, wanted: n, join });
    stage.start(Fork { counter, stay: true, kept: vec![] }).do_send(More(n));
}

stoppable!(Player, Counter, Producer, Member, Big, Leaf, Fork);
