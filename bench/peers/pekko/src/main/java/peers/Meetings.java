// SPDX-License-Identifier: MIT
package peers;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.function.BooleanSupplier;
import org.apache.pekko.actor.typed.ActorRef;
import org.apache.pekko.actor.typed.Behavior;
import org.apache.pekko.actor.typed.javadsl.ActorContext;
import org.apache.pekko.actor.typed.javadsl.Behaviors;

/** Workloads of actors that meet around a common one. */
final class Meetings {
    static void add(Map<String, Main.Workload> to) {
        to.put("chameneos", new Main.Workload("message", n -> 4 * n, Meetings::chameneos));
        to.put("dictionary", new Main.Workload("message", n -> n / 20 * 40, Meetings::dictionary));
        to.put("philosophers", new Main.Workload("meal", n -> n / 20 * 20, Meetings::philosophers));
        to.put("smokers", new Main.Workload("message", n -> 2 * n, Meetings::smokers));
    }

    record Meet(ActorRef<Object> from, int colour) {}

    record Change(int colour) {}

    record Met(long meetings) {}

    static final Object EXIT = new Object();

    static final class Creature extends Handler<Object> {
        private final ActorRef<Object> self, mall;
        private int colour;
        private long meetings;

        Creature(ActorContext<Object> context, ActorRef<Object> mall, int colour) {
            super(context);
            self = context.getSelf();
            this.mall = mall;
            this.colour = colour;
            mall.tell(new Meet(self, colour));
        }

        @Override
        Behavior<Object> on(Object message) {
            if (message == EXIT) {
                mall.tell(new Met(meetings));
                return this;
            }
            if (message instanceof Meet meet) {
                colour = colour == meet.colour() ? colour : 3 - colour - meet.colour();
                meet.from().tell(new Change(colour));
            } else {
                colour = ((Change) message).colour();
            }
            meetings++;
            mall.tell(new Meet(self, colour));
            return this;
        }
    }

    static Behavior<Object> chameneos(long n, CompletableFuture<BooleanSupplier> done) {
        return Behaviors.setup(root -> {
            ActorRef<Object> mall = root.spawnAnonymous(Behaviors.setup(context -> new Handler<Object>(context) {
                private long left = n, met;
                private int gone;
                private ActorRef<Object> waiting;

                @Override
                Behavior<Object> on(Object message) {
                    if (message instanceof Met creature) {
                        met += creature.meetings();
                        if (++gone == 100)
                            done.complete(() -> met == 2 * n);
                        return this;
                    }
                    Meet meet = (Meet) message;
                    if (left == 0) {
                        meet.from().tell(EXIT);
                    } else if (waiting == null) {
                        waiting = meet.from();
                    } else {
                        waiting.tell(meet);
                        waiting = null;
                        left--;
                    }
                    return this;
                }
            }));
            for (int i = 0; i < 100; i++) {
                int colour = i % 3;
                root.spawnAnonymous(Behaviors.setup(context -> new Creature(context, mall, colour)));
            }
            return Behaviors.empty();
        });
    }

    record Lookup(boolean put, long key, ActorRef<Value> from) {}

    record Value(long value) {}

    static Behavior<Object> dictionary(long n, CompletableFuture<BooleanSupplier> done) {
        return Behaviors.setup(root -> {
            ActorRef<Lookup> dictionary = root.spawnAnonymous(Behaviors.setup(context -> new Handler<Lookup>(context) {
                private final HashMap<Long, Long> entries = new HashMap<>(8192);

                @Override
                Behavior<Lookup> on(Lookup message) {
                    if (message.put())
                        entries.put(message.key(), message.key());
                    message.from().tell(new Value(entries.getOrDefault(message.key(), 0L)));
                    return this;
                }
            }));
            var join = root.spawnAnonymous(Messages.counter(20, () -> done.complete(() -> true)));
            for (int i = 0; i < 20; i++) {
                int index = i;
                root.spawnAnonymous(Behaviors.<Value>setup(context ->
                        new Reader(context, dictionary, index, n / 20, () -> join.tell(new Messages.Count(0)))));
            }
            return Behaviors.empty();
        });
    }

    static final class Reader extends Handler<Value> {
        private final ActorRef<Value> self;
        private final ActorRef<Lookup> dictionary;
        private final Random random;
        private final Runnable whole;
        private final long share;
        private long left, right, key;

        Reader(ActorContext<Value> context, ActorRef<Lookup> dictionary, int index, long share, Runnable whole) {
            super(context);
            self = context.getSelf();
            this.dictionary = dictionary;
            this.share = left = share;
            this.whole = whole;
            random = new Random(index * 7919 + 1);
            ask();
        }

        private void ask() {
            if (left-- > 0) {
                key = random.next() % 4096 + 1;
                dictionary.tell(new Lookup(random.next() % 100 < 10, key, self));
            } else if (right == share) {
                whole.run();
            }
        }

        @Override
        Behavior<Value> on(Value value) {
            if (value.value() == 0 || value.value() == key)
                right++;
            ask();
            return this;
        }
    }

    record Hungry(ActorRef<Object> from, int seat) {}

    record Done(int seat) {}

    static final Object DENIED = new Object(), EAT = new Object(), LEAVE = new Object();

    static Behavior<Object> philosophers(long n, CompletableFuture<BooleanSupplier> done) {
        return Behaviors.setup(root -> {
            ActorRef<Object> arbitrator = root.spawnAnonymous(Behaviors.setup(context -> new Handler<Object>(context) {
                private final boolean[] used = new boolean[20];
                private long meals;
                private int gone;

                @Override
                Behavior<Object> on(Object message) {
                    if (message instanceof Hungry hungry) {
                        int left = hungry.seat(), right = (left + 1) % 20;
                        boolean denied = used[left] || used[right];
                        if (!denied)
                            used[left] = used[right] = true;
                        hungry.from().tell(denied ? DENIED : EAT);
                    } else if (message instanceof Done eaten) {
                        used[eaten.seat()] = used[(eaten.seat() + 1) % 20] = false;
                        meals++;
                    } else if (++gone == 20) {
                        done.complete(() -> meals == n / 20 * 20);
                    }
                    return this;
                }
            }));
            for (int i = 0; i < 20; i++) {
                int seat = i;
                root.spawnAnonymous(Behaviors.<Object>setup(context -> {
                    Hungry hungry = new Hungry(context.getSelf(), seat);
                    arbitrator.tell(hungry);
                    return new Handler<>(context) {
                        private long left = n / 20;

                        @Override
                        Behavior<Object> on(Object message) {
                            if (message == EAT) {
                                arbitrator.tell(new Done(seat));
                                left--;
                            }
                            arbitrator.tell(left > 0 ? hungry : LEAVE);
                            return this;
                        }
                    };
                }));
            }
            return Behaviors.empty();
        });
    }

    record Smoke(int iterations, ActorRef<Object> from) {}

    static Behavior<Object> smokers(long n, CompletableFuture<BooleanSupplier> done) {
        return Behaviors.setup(root -> {
            List<ActorRef<Smoke>> smokers = new ArrayList<>();
            for (int i = 0; i < 200; i++)
                smokers.add(root.spawnAnonymous(Behaviors.setup(context -> new Handler<Smoke>(context) {
                    private int smoke;

                    @Override
                    Behavior<Smoke> on(Smoke message) {
                        message.from().tell(EAT);
                        smoke = Random.work(smoke, message.iterations());
                        return this;
                    }
                })));
            root.spawnAnonymous(Behaviors.<Object>setup(context -> new Arbiter(context, smokers, n, done)));
            return Behaviors.empty();
        });
    }

    static final class Arbiter extends Handler<Object> {
        private final ActorRef<Object> self;
        private final ActorRef<Smoke>[] smokers;
        private final Random random = new Random(1);
        private final CompletableFuture<BooleanSupplier> done;
        private long left;

        @SuppressWarnings("unchecked")
        Arbiter(ActorContext<Object> context, List<ActorRef<Smoke>> smokers, long n,
                CompletableFuture<BooleanSupplier> done) {
            super(context);
            self = context.getSelf();
            this.smokers = smokers.toArray(new ActorRef[0]);
            this.done = done;
            left = n;
            choose();
        }

        private void choose() {
            var chosen = smokers[random.next() % smokers.length];
            chosen.tell(new Smoke(random.next() % 50, self));
        }

        @Override
        Behavior<Object> on(Object started) {
            if (--left > 0)
                choose();
            else
                done.complete(() -> true);
            return this;
        }
    }

    private Meetings() {}
}
