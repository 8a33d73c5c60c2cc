// SPDX-License-Identifier: MIT
package peers;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.function.BooleanSupplier;
import org.apache.pekko.actor.typed.ActorRef;
import org.apache.pekko.actor.typed.Behavior;
import org.apache.pekko.actor.typed.javadsl.ActorContext;
import org.apache.pekko.actor.typed.javadsl.Behaviors;

/** The six workloads of the core, and what an idle actor needs. */
final class Messages {
    static final int BURST = 256;

    static void add(Map<String, Main.Workload> to) {
        to.put("ping-pong", new Main.Workload("message", n -> n / 2 * 2, Messages::pingPong));
        to.put("counting", new Main.Workload("message", n -> n, Messages::counting));
        to.put("ring", new Main.Workload("message", n -> n, Messages::ring));
        to.put("big", new Main.Workload("message", n -> n / 128 * 128, Messages::big));
        to.put("fork-join-create", new Main.Workload("actor", n -> n, (n, done) -> create(n, false, done)));
        to.put("idle", new Main.Workload("actor", n -> n, (n, done) -> create(n, true, done)));
        to.put("fork-join", new Main.Workload("message", n -> n / 60 * 60, Messages::forkJoin));
    }

    record Ball(ActorRef<Ball> from, long left) {}

    static Behavior<Object> pingPong(long n, CompletableFuture<BooleanSupplier> done) {
        return Behaviors.setup(root -> {
            ActorRef<Ball> pong = root.spawnAnonymous(Behaviors.setup(context -> new Handler<Ball>(context) {
                private final ActorRef<Ball> self = context.getSelf();

                @Override
                Behavior<Ball> on(Ball ball) {
                    ball.from().tell(new Ball(self, ball.left() - 1));
                    return this;
                }
            }));
            root.spawnAnonymous(Behaviors.<Ball>setup(context -> {
                ActorRef<Ball> self = context.getSelf();
                pong.tell(new Ball(self, n / 2 * 2 - 1));
                return new Handler<>(context) {
                    private long rallies;

                    @Override
                    Behavior<Ball> on(Ball ball) {
                        rallies++;
                        if (ball.left() > 0)
                            ball.from().tell(new Ball(self, ball.left() - 1));
                        else
                            done.complete(() -> rallies == n / 2);
                        return this;
                    }
                };
            }));
            return Behaviors.empty();
        });
    }

    record Count(long value) {}

    /** Tells whom when it got what it wanted. */
    static Behavior<Count> counter(long wanted, Runnable whole) {
        return Behaviors.setup(context -> new Handler<Count>(context) {
            private long counted;

            @Override
            Behavior<Count> on(Count message) {
                if (++counted == wanted)
                    whole.run();
                return this;
            }
        });
    }

    /** Sends to all in turn, in bursts. */
    static Behavior<Count> producer(List<ActorRef<Count>> to, long n) {
        return Behaviors.<Count>setup(context -> {
            ActorRef<Count> self = context.getSelf();
            self.tell(new Count(n));
            return new Handler<>(context) {
                private final ActorRef<Count>[] targets = to.toArray(new ActorRef[0]);

                @Override
                Behavior<Count> on(Count more) {
                    long left = more.value(), burst = Math.min(left, BURST);
                    for (long i = 0; i < burst; i++)
                        targets[(int) ((left - i) % targets.length)].tell(new Count(i));
                    if (left > burst)
                        self.tell(new Count(left - burst));
                    return this;
                }
            };
        });
    }

    static Behavior<Object> counting(long n, CompletableFuture<BooleanSupplier> done) {
        return Behaviors.setup(root -> {
            ActorRef<Count> counter = root.spawnAnonymous(counter(n, () -> done.complete(() -> true)));
            root.spawnAnonymous(producer(List.of(counter), n));
            return Behaviors.empty();
        });
    }

    static Behavior<Object> forkJoin(long n, CompletableFuture<BooleanSupplier> done) {
        return Behaviors.setup(root -> {
            List<ActorRef<Count>> sinks = new ArrayList<>();
            ActorRef<Count> join = root.spawnAnonymous(counter(60, () -> done.complete(() -> true)));
            for (int i = 0; i < 60; i++)
                sinks.add(root.spawnAnonymous(counter(n / 60, () -> join.tell(new Count(n / 60)))));
            root.spawnAnonymous(producer(sinks, n / 60 * 60));
            return Behaviors.empty();
        });
    }

    static final class Member extends Handler<Object> {
        private final CompletableFuture<BooleanSupplier> done;
        private final boolean last;
        private ActorRef<Object> next;

        Member(ActorContext<Object> context, CompletableFuture<BooleanSupplier> done, boolean last) {
            super(context);
            this.done = done;
            this.last = last;
        }

        @Override
        @SuppressWarnings("unchecked")
        Behavior<Object> on(Object message) {
            if (!(message instanceof Count token))
                next = (ActorRef<Object>) message;
            else if (token.value() > 0)
                next.tell(new Count(token.value() - 1));
            else
                done.complete(() -> last);
            return this;
        }
    }

    static Behavior<Object> ring(long n, CompletableFuture<BooleanSupplier> done) {
        return Behaviors.setup(root -> {
            List<ActorRef<Object>> members = new ArrayList<>();
            for (int i = 0; i < 100; i++) {
                boolean last = i == (n - 1) % 100;
                members.add(root.spawnAnonymous(Behaviors.setup(context -> new Member(context, done, last))));
            }
            for (int i = 0; i < 100; i++)
                members.get(i).tell(members.get((i + 1) % 100));
            members.get(0).tell(new Count(n - 1));
            return Behaviors.empty();
        });
    }

    record Ask(ActorRef<Object> from) {}

    static final Object ANSWER = new Object();

    static final class Big extends Handler<Object> {
        private final ActorRef<Object> self;
        private final ActorRef<Count> join;
        private final Random random;
        private final Ask ask;
        private final long rounds;
        private ActorRef<Object>[] bigs;
        private long left, answers;

        Big(ActorContext<Object> context, ActorRef<Count> join, int index, long rounds) {
            super(context);
            self = context.getSelf();
            ask = new Ask(self);
            this.join = join;
            this.rounds = left = rounds;
            random = new Random(index * 7919 + 1);
        }

        private void next() {
            if (left-- > 0)
                bigs[random.next() % bigs.length].tell(ask);
            else if (answers == rounds)
                join.tell(new Count(answers));
        }

        @Override
        @SuppressWarnings("unchecked")
        Behavior<Object> on(Object message) {
            if (message instanceof Ask request) {
                request.from().tell(ANSWER);
            } else if (message == ANSWER) {
                answers++;
                next();
            } else {
                bigs = (ActorRef<Object>[]) message;
                next();
            }
            return this;
        }
    }

    @SuppressWarnings("unchecked")
    static Behavior<Object> big(long n, CompletableFuture<BooleanSupplier> done) {
        return Behaviors.setup(root -> {
            ActorRef<Object>[] bigs = new ActorRef[64];
            ActorRef<Count> join = root.spawnAnonymous(counter(64, () -> done.complete(() -> true)));
            for (int i = 0; i < 64; i++) {
                int index = i;
                bigs[i] = root.spawnAnonymous(Behaviors.setup(context -> new Big(context, join, index, n / 128)));
            }
            for (var big : bigs)
                big.tell(bigs);
            return Behaviors.empty();
        });
    }

    record Work(ActorRef<Count> from) {}

    /** Answers, and then ends or stays. */
    static final class Leaf extends Handler<Work> {
        private final boolean stays;

        Leaf(boolean stays) {
            super(null);
            this.stays = stays;
        }

        @Override
        Behavior<Work> on(Work work) {
            work.from().tell(new Count(-1));
            return stays ? this : Behaviors.stopped();
        }
    }

    static Behavior<Object> create(long n, boolean stay, CompletableFuture<BooleanSupplier> done) {
        return Behaviors.setup(root -> {
            root.spawnAnonymous(Behaviors.<Count>setup(context -> {
                ActorRef<Count> self = context.getSelf();
                Work work = new Work(self);
                self.tell(new Count(n));
                return new Handler<>(context) {
                    private long joined;

                    @Override
                    Behavior<Count> on(Count message) {
                        long left = message.value(), burst = Math.min(left, BURST);
                        if (left < 0 && ++joined == n)
                            done.complete(() -> true);
                        for (long i = 0; i < burst; i++)
                            context.spawnAnonymous(new Leaf(stay)).tell(work);
                        if (left > burst && left > 0)
                            self.tell(new Count(left - burst));
                        return this;
                    }
                };
            }));
            return Behaviors.empty();
        });
    }

    private Messages() {}
}
