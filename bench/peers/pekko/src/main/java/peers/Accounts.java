// SPDX-License-Identifier: MIT
package peers;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.function.BooleanSupplier;
import org.apache.pekko.actor.typed.ActorRef;
import org.apache.pekko.actor.typed.Behavior;
import org.apache.pekko.actor.typed.javadsl.ActorContext;
import org.apache.pekko.actor.typed.javadsl.Behaviors;

/** Workloads of actors that keep others waiting. */
final class Accounts {
    static void add(Map<String, Main.Workload> to) {
        to.put("bounded-buffer", new Main.Workload("message", n -> n / 40 * 160, Accounts::boundedBuffer));
        to.put("sleeping-barber", new Main.Workload("customer", n -> n, Accounts::sleepingBarber));
        to.put("logistic-map", new Main.Workload("message", n -> n / 10 * 30, Accounts::logisticMap));
        to.put("bank", new Main.Workload("message", n -> 4 * n, Accounts::bank));
    }

    static final Object NEXT = new Object(), DONE = new Object();

    record Item(int item, ActorRef<Object> from) {}

    record Use(int item) {}

    record Available(ActorRef<Use> consumer) {}

    static final class Producer extends Handler<Object> {
        private final ActorRef<Object> manager;
        private long left;
        private int item;

        Producer(ActorContext<Object> context, ActorRef<Object> manager, long share, int index) {
            super(context);
            this.manager = manager;
            left = share;
            item = index;
        }

        @Override
        Behavior<Object> on(Object produce) {
            if (left-- == 0) {
                manager.tell(DONE);
            } else {
                item = Random.work(item, 25);
                manager.tell(new Item(item, context.getSelf()));
            }
            return this;
        }
    }

    static final class Manager extends Handler<Object> {
        private final ArrayDeque<Item> pending = new ArrayDeque<>();
        private final ArrayDeque<ActorRef<Use>> consumers = new ArrayDeque<>();
        private final ArrayDeque<ActorRef<Object>> producers = new ArrayDeque<>();
        private final CompletableFuture<BooleanSupplier> done;
        private final long share;
        private int finished, sum;

        Manager(ActorContext<Object> context, long share, CompletableFuture<BooleanSupplier> done) {
            super(context);
            this.share = share;
            this.done = done;
            ActorRef<Object> self = context.getSelf();
            for (int i = 0; i < 40; i++)
                consumers.add(context.spawnAnonymous(Behaviors.<Use>setup(inner -> consumer(inner, self))));
            for (int i = 1; i <= 40; i++) {
                int index = i;
                context.spawnAnonymous(Behaviors.<Object>setup(inner -> new Producer(inner, self, share, index)))
                        .tell(NEXT);
            }
        }

        private static Behavior<Use> consumer(ActorContext<Use> context, ActorRef<Object> manager) {
            Available available = new Available(context.getSelf());
            return new Handler<>(context) {
                private int used;

                @Override
                Behavior<Use> on(Use message) {
                    used += Random.work(message.item(), 25);
                    manager.tell(available);
                    return this;
                }
            };
        }

        private void take(Item item) {
            sum += item.item();
            if (consumers.isEmpty())
                pending.add(item);
            else
                consumers.poll().tell(new Use(item.item()));
            if (pending.size() >= 10)
                producers.add(item.from());
            else
                item.from().tell(NEXT);
        }

        private void serve(ActorRef<Use> consumer) {
            if (pending.isEmpty()) {
                consumers.add(consumer);
                return;
            }
            consumer.tell(new Use(pending.poll().item()));
            if (!producers.isEmpty())
                producers.poll().tell(NEXT);
        }

        private boolean right() {
            int expected = 0;
            for (int i = 1; i <= 40; i++) {
                int item = i;
                for (long k = 0; k < share; k++)
                    expected += item = Random.work(item, 25);
            }
            return sum == expected;
        }

        @Override
        Behavior<Object> on(Object message) {
            if (message instanceof Item item)
                take(item);
            else if (message instanceof Available available)
                serve(available.consumer());
            else
                finished++;
            if (finished == 40 && consumers.size() == 40)
                done.complete(this::right);
            return this;
        }
    }

    static Behavior<Object> boundedBuffer(long n, CompletableFuture<BooleanSupplier> done) {
        return Behaviors.setup(root -> {
            root.spawnAnonymous(Behaviors.<Object>setup(context -> new Manager(context, n / 40, done)));
            return Behaviors.empty();
        });
    }

    static final Object FULL = new Object(), WAIT = new Object(), START = new Object();

    record Enter(ActorRef<Object> customer) {}

    record Returned(ActorRef<Object> customer) {}

    static Behavior<Object> customer(ActorRef<Object> factory) {
        return Behaviors.setup(context -> new Handler<Object>(context) {
            @Override
            Behavior<Object> on(Object message) {
                if (message == FULL)
                    factory.tell(new Returned(context.getSelf()));
                if (message != DONE)
                    return this;
                factory.tell(DONE);
                return Behaviors.stopped();
            }
        });
    }

    static final class Room extends Handler<Object> {
        private final ArrayDeque<ActorRef<Object>> seats = new ArrayDeque<>();
        private final ActorRef<Enter> barber;
        private boolean busy;

        Room(ActorContext<Object> context) {
            super(context);
            ActorRef<Object> self = context.getSelf();
            barber = context.spawnAnonymous(Behaviors.<Enter>setup(inner -> new Handler<>(inner) {
                private int seed;

                @Override
                Behavior<Enter> on(Enter message) {
                    message.customer().tell(START);
                    seed = Random.work(seed, 50);
                    message.customer().tell(DONE);
                    self.tell(NEXT);
                    return this;
                }
            }));
        }

        private void comeIn(Enter enter) {
            if (!busy) {
                busy = true;
                barber.tell(enter);
            } else if (seats.size() == 1000) {
                enter.customer().tell(FULL);
            } else {
                seats.add(enter.customer());
                enter.customer().tell(WAIT);
            }
        }

        @Override
        Behavior<Object> on(Object message) {
            if (message instanceof Enter enter) {
                comeIn(enter);
                return this;
            }
            busy = !seats.isEmpty();
            if (busy)
                barber.tell(new Enter(seats.poll()));
            return this;
        }
    }

    static final class Factory extends Handler<Object> {
        private final ActorRef<Object> room, self;
        private final CompletableFuture<BooleanSupplier> done;
        private long left, missing;
        private int seed;

        Factory(ActorContext<Object> context, ActorRef<Object> room, long n, CompletableFuture<BooleanSupplier> done) {
            super(context);
            self = context.getSelf();
            this.room = room;
            this.done = done;
            left = missing = n;
            self.tell(NEXT);
        }

        @Override
        Behavior<Object> on(Object message) {
            if (message == NEXT) {
                seed = Random.work(seed, 50);
                room.tell(new Enter(context.spawnAnonymous(customer(self))));
                if (--left > 0)
                    self.tell(NEXT);
            } else if (message instanceof Returned returned) {
                room.tell(new Enter(returned.customer()));
            } else if (--missing == 0) {
                done.complete(() -> missing == 0);
            }
            return this;
        }
    }

    static Behavior<Object> sleepingBarber(long n, CompletableFuture<BooleanSupplier> done) {
        return Behaviors.setup(root -> {
            ActorRef<Object> room = root.spawnAnonymous(Behaviors.setup(Room::new));
            root.spawnAnonymous(Behaviors.<Object>setup(context -> new Factory(context, room, n, done)));
            return Behaviors.empty();
        });
    }

    static double rate(int index) {
        return 3.46 + 0.0025 * index;
    }

    static double firstTerm(int index) {
        return 0.1 + 0.01 * index;
    }

    record Compute(double x, ActorRef<Object> from) {}

    record Term(double x) {}

    record Last(ActorRef<Term> to) {}

    static final class Series extends Handler<Object> {
        private final ActorRef<Compute> computer;
        private final ActorRef<Object> self;
        private double term;
        private long wanted;
        private ActorRef<Term> master;

        Series(ActorContext<Object> context, int index) {
            super(context);
            self = context.getSelf();
            term = firstTerm(index);
            double rate = rate(index);
            computer = context.spawnAnonymous(Behaviors.<Compute>setup(inner -> new Handler<>(inner) {
                @Override
                Behavior<Compute> on(Compute compute) {
                    compute.from().tell(new Term(rate * compute.x() * (1 - compute.x())));
                    return this;
                }
            }));
        }

        @Override
        Behavior<Object> on(Object message) {
            boolean first = false;
            if (message == NEXT) {
                first = ++wanted == 1;
            } else if (message instanceof Term next) {
                term = next.x();
                first = --wanted > 0;
            } else {
                master = ((Last) message).to();
            }
            if (first)
                computer.tell(new Compute(term, self));
            else if (wanted == 0 && master != null)
                master.tell(new Term(term));
            return this;
        }
    }

    private static double lastTerms(long count) {
        double sum = 0;
        for (int i = 0; i < 10; i++) {
            double x = firstTerm(i);
            for (long k = 0; k < count; k++)
                x = rate(i) * x * (1 - x);
            sum += x;
        }
        return sum;
    }

    static Behavior<Object> logisticMap(long n, CompletableFuture<BooleanSupplier> done) {
        return Behaviors.setup(root -> {
            root.spawnAnonymous(Behaviors.<Term>setup(context -> {
                List<ActorRef<Object>> series = new ArrayList<>();
                for (int i = 0; i < 10; i++) {
                    int index = i;
                    series.add(context.spawnAnonymous(Behaviors.setup(inner -> new Series(inner, index))));
                }
                for (long k = 0; k < n / 10; k++)
                    for (var one : series)
                        one.tell(NEXT);
                for (var one : series)
                    one.tell(new Last(context.getSelf()));
                return new Handler<>(context) {
                    private int missing = 10;
                    private double sum;

                    @Override
                    Behavior<Term> on(Term last) {
                        sum += last.x();
                        if (--missing == 0)
                            done.complete(() -> Math.abs(sum - lastTerms(n / 10)) < 1e-9);
                        return this;
                    }
                };
            }));
            return Behaviors.empty();
        });
    }

    static final Object DEPOSITED = new Object(), CLOSE = new Object();

    record Transfer(int to, int amount) {}

    record Deposit(int amount, ActorRef<Object> from) {}

    record Balance(long balance) {}

    static final class Account extends Handler<Object> {
        private final ArrayDeque<Transfer> kept = new ArrayDeque<>();
        private final ActorRef<Object> teller, self;
        private final ActorRef<Object>[] all;
        private long balance;
        private boolean waiting;

        Account(ActorContext<Object> context, ActorRef<Object> teller, ActorRef<Object>[] all) {
            super(context);
            self = context.getSelf();
            this.teller = teller;
            this.all = all;
        }

        private void begin(Transfer transfer) {
            waiting = true;
            balance -= transfer.amount();
            all[transfer.to()].tell(new Deposit(transfer.amount(), self));
        }

        private void deposited() {
            teller.tell(DONE);
            waiting = false;
            if (!kept.isEmpty())
                begin(kept.poll());
        }

        @Override
        Behavior<Object> on(Object message) {
            if (message instanceof Transfer transfer) {
                if (waiting)
                    kept.add(transfer);
                else
                    begin(transfer);
            } else if (message instanceof Deposit deposit) {
                balance += deposit.amount();
                deposit.from().tell(DEPOSITED);
            } else if (message == DEPOSITED) {
                deposited();
            } else {
                teller.tell(new Balance(balance));
            }
            return this;
        }
    }

    static final class Teller extends Handler<Object> {
        private final ActorRef<Object>[] all;
        private final CompletableFuture<BooleanSupplier> done;
        private long missing, total;
        private int open;

        @SuppressWarnings("unchecked")
        Teller(ActorContext<Object> context, long n, CompletableFuture<BooleanSupplier> done) {
            super(context);
            this.done = done;
            missing = n;
            all = new ActorRef[1000];
            open = all.length;
            ActorRef<Object> self = context.getSelf();
            for (int i = 0; i < all.length; i++)
                all[i] = context.spawnAnonymous(Behaviors.setup(inner -> new Account(inner, self, all)));
            Random random = new Random(1);
            for (long i = 0; i < n; i++) {
                int from = random.next() % 999, to = from + 1 + random.next() % (999 - from);
                all[from].tell(new Transfer(to, random.next() % 1000));
            }
        }

        @Override
        Behavior<Object> on(Object message) {
            if (message instanceof Balance balance) {
                total += balance.balance();
                if (--open == 0)
                    done.complete(() -> total == 0);
            } else if (--missing == 0) {
                for (var account : all)
                    account.tell(CLOSE);
            }
            return this;
        }
    }

    static Behavior<Object> bank(long n, CompletableFuture<BooleanSupplier> done) {
        return Behaviors.setup(root -> {
            root.spawnAnonymous(Behaviors.<Object>setup(context -> new Teller(context, n, done)));
            return Behaviors.empty();
        });
    }

    private Accounts() {}
}
