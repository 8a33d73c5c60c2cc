// SPDX-License-Identifier: MIT
package peers;

import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.function.BooleanSupplier;
import java.util.function.Supplier;
import org.apache.pekko.actor.typed.ActorRef;
import org.apache.pekko.actor.typed.Behavior;
import org.apache.pekko.actor.typed.javadsl.ActorContext;
import org.apache.pekko.actor.typed.javadsl.Behaviors;

/** Workloads that compute. */
final class Computations {
    static void add(Map<String, Main.Workload> to) {
        to.put("fib", new Main.Workload("actor", n -> 2 * Jobs.fibonacci(n) - 1, Computations::fib));
        to.put("nqueens", new Main.Workload("run", n -> 1, Computations::queens));
        to.put("sieve", new Main.Workload("run", n -> 1, Computations::sieve));
        to.put("radix-sort", new Main.Workload("message", n -> 31 * n, Computations::radixSort));
        to.put("quicksort", new Main.Workload("run", n -> 1, Computations::quicksort));
        to.put("trapezoid", new Main.Workload("run", n -> 1, Computations::trapezoid));
        to.put("matmul", new Main.Workload("run", n -> 1, Computations::matmul));
        to.put("astar", new Main.Workload("run", n -> 1, Computations::astar));
    }

    static final class Fib extends Handler<Long> {
        private final ActorRef<Long> parent;
        private long sum;
        private int missing = 2;

        Fib(ActorContext<Long> context, ActorRef<Long> parent) {
            super(context);
            this.parent = parent;
        }

        static Behavior<Long> call(long n, ActorRef<Long> parent) {
            return Behaviors.setup(context -> {
                if (n <= 2) {
                    parent.tell(1L);
                    return Behaviors.stopped();
                }
                context.spawnAnonymous(call(n - 1, context.getSelf()));
                context.spawnAnonymous(call(n - 2, context.getSelf()));
                return new Fib(context, parent);
            });
        }

        @Override
        Behavior<Long> on(Long value) {
            sum += value;
            if (--missing > 0)
                return this;
            parent.tell(sum);
            return Behaviors.stopped();
        }
    }

    static Behavior<Object> fib(long n, CompletableFuture<BooleanSupplier> done) {
        return Behaviors.setup(root -> {
            root.spawnAnonymous(Behaviors.<Long>setup(context -> {
                context.spawnAnonymous(Fib.call(n, context.getSelf()));
                return new Handler<>(context) {
                    @Override
                    Behavior<Long> on(Long value) {
                        done.complete(() -> value == Jobs.fibonacci(n));
                        return this;
                    }
                };
            }));
            return Behaviors.empty();
        });
    }

    record Given<I>(I item) {}

    record Did(long value) {}

    interface Sum {
        boolean isRight(long sum);
    }

    static final class Dealer<I> extends Handler<Object> {
        private final ActorRef<I>[] workers;
        private final CompletableFuture<BooleanSupplier> done;
        private final Sum expected;
        private long missing, sum;
        private int dealt;

        @SuppressWarnings("unchecked")
        Dealer(ActorContext<Object> context, Supplier<Jobs.Job<I>> job, Sum expected,
                CompletableFuture<BooleanSupplier> done) {
            super(context);
            this.done = done;
            this.expected = expected;
            ActorRef<Object> self = context.getSelf();
            workers = new ActorRef[20];
            for (int i = 0; i < workers.length; i++)
                workers[i] = context.spawnAnonymous(
                        Behaviors.<I>setup(inner -> new Worker<I>(inner, job.get(), self)));
        }

        @Override
        @SuppressWarnings("unchecked")
        Behavior<Object> on(Object message) {
            if (message instanceof Given<?> given) {
                missing++;
                workers[dealt].tell((I) given.item());
                dealt = (dealt + 1) % workers.length;
            } else {
                sum += ((Did) message).value();
                if (--missing == 0)
                    done.complete(() -> expected.isRight(sum));
            }
            return this;
        }
    }

    static final class Worker<I> extends Handler<I> {
        private final Jobs.Job<I> job;
        private final ActorRef<Object> dealer;

        Worker(ActorContext<I> context, Jobs.Job<I> job, ActorRef<Object> dealer) {
            super(context);
            this.job = job;
            this.dealer = dealer;
        }

        @Override
        Behavior<I> on(I item) {
            dealer.tell(new Did(job.work(item, part -> dealer.tell(new Given<>(part)))));
            return this;
        }
    }

    static <I> Behavior<Object> deal(
            Supplier<Jobs.Job<I>> job, I first, Sum expected, CompletableFuture<BooleanSupplier> done) {
        return Behaviors.setup(root -> {
            ActorRef<Object> dealer = root.spawnAnonymous(
                    Behaviors.setup(context -> new Dealer<>(context, job, expected, done)));
            dealer.tell(new Given<>(first));
            return Behaviors.empty();
        });
    }

    static Behavior<Object> queens(long n, CompletableFuture<BooleanSupplier> done) {
        long[] known = {1, 1, 0, 0, 2, 10, 4, 40, 92, 352, 724, 2680, 14200, 73712};
        var queens = new Jobs.Queens((1 << n) - 1);
        return deal(() -> queens, new Jobs.Board(0, 0, 0, 0), sum -> sum == known[(int) n], done);
    }

    static Behavior<Object> matmul(long n, CompletableFuture<BooleanSupplier> done) {
        var product = Jobs.Product.of((int) n);
        return deal(() -> product, new Jobs.Block(0, 0, (int) n), sum -> product.right(), done);
    }

    static Behavior<Object> astar(long n, CompletableFuture<BooleanSupplier> done) {
        var seen = Jobs.Search.seen((int) n);
        return deal(() -> new Jobs.Search((int) n, seen), 0, sum -> sum == n * n * n, done);
    }

    record Number(int number) {}

    record End(long before) {}

    static final Object MORE = new Object();

    static final class Filter extends Handler<Object> {
        private final Jobs.Primes primes = new Jobs.Primes();
        private final long n;
        private final CompletableFuture<BooleanSupplier> done;
        private ActorRef<Object> next;

        Filter(ActorContext<Object> context, long n, CompletableFuture<BooleanSupplier> done) {
            super(context);
            this.n = n;
            this.done = done;
        }

        @Override
        Behavior<Object> on(Object message) {
            if (message instanceof Number number) {
                if (!primes.pass(number.number()))
                    return this;
                if (next == null)
                    next = context.spawnAnonymous(Behaviors.setup(inner -> new Filter(inner, n, done)));
                next.tell(message);
                return this;
            }
            long count = ((End) message).before() + primes.count;
            if (next != null)
                next.tell(new End(count));
            else
                done.complete(() -> count == Jobs.Primes.below(n));
            return this;
        }
    }

    static Behavior<Object> sieve(long n, CompletableFuture<BooleanSupplier> done) {
        return Behaviors.setup(root -> {
            ActorRef<Object> first = root.spawnAnonymous(Behaviors.setup(context -> new Filter(context, n, done)));
            root.spawnAnonymous(Behaviors.<Object>setup(context -> {
                context.getSelf().tell(MORE);
                return new Handler<>(context) {
                    private int candidate = 3;

                    @Override
                    Behavior<Object> on(Object message) {
                        for (int i = 0; i < Messages.BURST && candidate < n; i++, candidate += 2)
                            first.tell(new Number(candidate));
                        if (candidate < n)
                            context.getSelf().tell(MORE);
                        else
                            first.tell(new End(1)); // 2 is one
                        return this;
                    }
                };
            }));
            return Behaviors.empty();
        });
    }

    static final class Sorter extends Handler<Number> {
        private final ActorRef<Number> next;
        private final int bit;
        private final Number[] kept;
        private int count, missing;

        Sorter(ActorContext<Number> context, ActorRef<Number> next, int bit, int n) {
            super(context);
            this.next = next;
            this.bit = bit;
            kept = new Number[n];
            missing = n;
        }

        @Override
        Behavior<Number> on(Number message) {
            if ((message.number() >> bit & 1) != 0)
                kept[count++] = message;
            else
                next.tell(message);
            if (--missing == 0)
                for (int i = 0; i < count; i++)
                    next.tell(kept[i]);
            return this;
        }
    }

    static Behavior<Number> sink(int n, CompletableFuture<BooleanSupplier> done) {
        return Behaviors.setup(context -> new Handler<Number>(context) {
            private int missing = n, last;
            private boolean sorted = true;
            private long sum;

            @Override
            Behavior<Number> on(Number message) {
                sorted &= message.number() >= last;
                last = message.number();
                sum += message.number();
                if (--missing == 0)
                    done.complete(() -> sorted && sum == Jobs.Numbers.draw(n).sum());
                return this;
            }
        });
    }

    static Behavior<Object> radixSort(long n, CompletableFuture<BooleanSupplier> done) {
        return Behaviors.setup(root -> {
            ActorRef<Number> next = root.spawnAnonymous(sink((int) n, done));
            for (int i = 29; i >= 0; i--) {
                int bit = i;
                ActorRef<Number> to = next;
                next = root.spawnAnonymous(Behaviors.setup(context -> new Sorter(context, to, bit, (int) n)));
            }
            ActorRef<Number> first = next;
            root.spawnAnonymous(Behaviors.<Object>setup(context -> {
                context.getSelf().tell(MORE);
                return new Handler<>(context) {
                    private final Random random = new Random(1);
                    private long left = n;

                    @Override
                    Behavior<Object> on(Object message) {
                        for (int i = 0; i < Messages.BURST && left > 0; i++, left--)
                            first.tell(new Number(random.draw()));
                        if (left > 0)
                            context.getSelf().tell(MORE);
                        return this;
                    }
                };
            }));
            return Behaviors.empty();
        });
    }

    record Sorted(boolean left, Jobs.Numbers numbers) {}

    /** Gets numbers to sort; from its children Sorted, twice. */
    static final class Quick extends Handler<Object> {
        private final ActorRef<Object> parent;
        private final boolean side;
        private Jobs.Numbers left, right;
        private long pivot;
        private int equal;

        Quick(ActorContext<Object> context, ActorRef<Object> parent, boolean side) {
            super(context);
            this.parent = parent;
            this.side = side;
        }

        private Behavior<Object> handUp(Jobs.Numbers sorted) {
            parent.tell(new Sorted(side, sorted));
            return Behaviors.stopped();
        }

        private void give(boolean side, Jobs.Numbers numbers) {
            ActorRef<Object> self = context.getSelf();
            context.spawnAnonymous(Behaviors.<Object>setup(inner -> new Quick(inner, self, side))).tell(numbers);
        }

        private Behavior<Object> split(long[] items, int count) {
            if (count < 2048) {
                java.util.Arrays.sort(items, 0, count);
                return handUp(new Jobs.Numbers(items, count));
            }
            long[] less = new long[count], more = new long[count];
            int below = 0, above = 0;
            pivot = items[count / 2];
            for (int i = 0; i < count; i++) {
                if (items[i] < pivot)
                    less[below++] = items[i];
                else if (items[i] > pivot)
                    more[above++] = items[i];
            }
            equal = count - below - above;
            give(true, new Jobs.Numbers(less, below));
            give(false, new Jobs.Numbers(more, above));
            return this;
        }

        @Override
        Behavior<Object> on(Object message) {
            if (message instanceof Jobs.Numbers numbers)
                return split(numbers.items(), numbers.count());
            Sorted sorted = (Sorted) message;
            if (sorted.left())
                left = sorted.numbers();
            else
                right = sorted.numbers();
            return left != null && right != null ? handUp(Jobs.Numbers.join(left, pivot, equal, right)) : this;
        }
    }

    static Behavior<Object> quicksort(long n, CompletableFuture<BooleanSupplier> done) {
        return Behaviors.setup(root -> {
            root.spawnAnonymous(Behaviors.<Object>setup(context -> {
                ActorRef<Object> self = context.getSelf();
                context.spawnAnonymous(Behaviors.<Object>setup(inner -> new Quick(inner, self, true)))
                        .tell(Jobs.Numbers.draw((int) n));
                return new Handler<>(context) {
                    @Override
                    Behavior<Object> on(Object message) {
                        var numbers = ((Sorted) message).numbers();
                        done.complete(() -> numbers.count() == n && numbers.isSorted());
                        return this;
                    }
                };
            }));
            return Behaviors.empty();
        });
    }

    record Range(double left, double width, long pieces) {}

    record Area(double area) {}

    static Behavior<Object> trapezoid(long n, CompletableFuture<BooleanSupplier> done) {
        long pieces = n / 100;
        double width = 4.0 / (pieces * 100);
        return Behaviors.setup(root -> {
            ActorRef<Area> master = root.spawnAnonymous(Behaviors.setup(context -> new Handler<Area>(context) {
                private double area;
                private int missing = 100;

                @Override
                Behavior<Area> on(Area part) {
                    area += part.area();
                    if (--missing == 0)
                        done.complete(() -> Math.abs(area - Jobs.integrate(1, width, pieces * 100)) < 1e-9);
                    return this;
                }
            }));
            for (int i = 0; i < 100; i++)
                root.spawnAnonymous(Behaviors.<Range>setup(context -> new Handler<>(context) {
                    @Override
                    Behavior<Range> on(Range range) {
                        master.tell(new Area(Jobs.integrate(range.left(), range.width(), range.pieces())));
                        return this;
                    }
                })).tell(new Range(1 + i * pieces * width, width, pieces));
            return Behaviors.empty();
        });
    }

    private Computations() {}
}
