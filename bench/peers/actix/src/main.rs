// SPDX-License-Identifier: MIT
//! The Savina workloads on Actix. Actors stay on the arbiter (a thread) where they were started: what talks much together is
//! put on one; what works for itself is spread.

mod contract;
mod meetings;
mod messages;

use actix::prelude::*;
use std::time::Instant;
use tokio::sync::oneshot;

/// Ends an actor after a run.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Halt;

/// Where a run puts its actors, and whom it has to stop.
pub struct Stage {
    pub arbiters: Vec<ArbiterHandle>,
    pub actors: Vec<Recipient<Halt>>,
}

impl Stage {
    pub fn keep<A>(&mut self, actor: &Addr<A>)
    where
        A: Actor<Context = Context<A>> + Handler<Halt>,
    {
        self.actors.push(actor.clone().recipient());
    }
}

pub type Done = oneshot::Sender<bool>;
pub type Start = fn(&mut Stage, u64, Done);

#[macro_export]
macro_rules! stoppable {
    ($($actor:ty),*) => {$(
        impl actix::Actor for $actor {
            type Context = actix::Context<Self>;
            fn started(&mut self, context: &mut Self::Context) {
                context.set_mailbox_capacity(1 << 24);
            }
        }
        impl actix::Handler<$crate::Halt> for $actor {
            type Result = ();
            fn handle(&mut self, _: $crate::Halt, context: &mut Self::Context) {
                actix::ActorContext::stop(context);
            }
        }
    )*};
}

fn main() {
    let arguments = contract::arguments();
    let workload = messages::find(&arguments.workload).or_else(|| meetings::find(&arguments.workload));
    let Some((start, units)) = workload else { contract::no_such_workload() };
    let system = System::new();
    let threads: Vec<Arbiter> = system.block_on(async { (1..arguments.threads).map(|_| Arbiter::new()).collect() });
    contract::serve(&arguments, units, || {
        system.block_on(async {
            let mut stage = Stage { arbiters: vec![Arbiter::current()], actors: vec![] };
            stage.arbiters.extend(threads.iter().map(Arbiter::handle));
            let (done, end) = oneshot::channel();
            let began = Instant::now();
            start(&mut stage, arguments.n, done);
            let right = end.await.unwrap_or(false);
            let took = began.elapsed().as_nanos();
            contract::check(right);
            for actor in &stage.actors {
                let _ = actor.send(Halt).await;
            }
            took
        })
    });
}
