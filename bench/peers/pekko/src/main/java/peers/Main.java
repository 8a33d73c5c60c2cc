// SPDX-License-Identifier: MIT
package peers;

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.util.HashMap;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.function.BooleanSupplier;
import java.util.function.LongUnaryOperator;
import org.apache.pekko.actor.typed.ActorRef;
import org.apache.pekko.actor.typed.ActorSystem;
import org.apache.pekko.actor.typed.Behavior;
import org.apache.pekko.actor.typed.Terminated;
import org.apache.pekko.actor.typed.javadsl.Behaviors;

/**
 * What every peer program does: PROGRAM WORKLOAD THREADS N [paced] prints a line of JSON for a run after a warm-up;
 * with "paced" one for each line of standard input. The workload idle warms up with few actors: what they leave behind
 * would be used again.
 */
public final class Main {
    /** Makes the root of a workload; it completes done with what says, untimed, whether the result is right. */
    interface Root {
        Behavior<Object> make(long n, CompletableFuture<BooleanSupplier> done);
    }

    record Workload(String unit, LongUnaryOperator units, Root root) {}

    static final Map<String, Workload> workloads = new HashMap<>();

    private static final String IDLE = "idle";

    private record Start(Behavior<Object> root) {}

    private record Run(CompletableFuture<Void> stopped) {}

    /** Spawns the root of a run; on Run the root ends with all its children. */
    private static Behavior<Object> guardian() {
        return Behaviors.setup(context -> new Handler<Object>(context) {
            private ActorRef<Object> root;
            private CompletableFuture<Void> stopped;

            @Override
            Behavior<Object> on(Object message) {
                if (message instanceof Start start) {
                    root = context.spawnAnonymous(start.root());
                    context.watch(root);
                } else if (message instanceof Run run) {
                    stopped = run.stopped();
                    context.stop(root);
                }
                return this;
            }

            @Override
            public Behavior<Object> receiveSignal(
                    org.apache.pekko.actor.typed.TypedActorContext<Object> ignored,
                    org.apache.pekko.actor.typed.Signal signal) {
                if (signal instanceof Terminated)
                    stopped.complete(null);
                return this;
            }
        });
    }

    /** Bytes of the heap that are in use; the process has all of it from the beginning. */
    private static long used() {
        System.gc();
        return Runtime.getRuntime().totalMemory() - Runtime.getRuntime().freeMemory();
    }

    private record Figures(double ns, double bytes) {}

    private static Figures once(ActorSystem<Object> system, Workload workload, long n) throws Exception {
        boolean counts = workload == workloads.get(IDLE);
        var done = new CompletableFuture<BooleanSupplier>();
        var stopped = new CompletableFuture<Void>();
        long before = counts ? used() : 0;
        long began = System.nanoTime();
        system.tell(new Start(workload.root().make(n, done)));
        BooleanSupplier right = done.get();
        long took = System.nanoTime() - began;
        long grown = counts ? used() - before : 0;
        system.tell(new Run(stopped));
        stopped.get();
        if (!right.getAsBoolean()) {
            System.err.println("pekko: wrong result");
            System.exit(1);
        }
        return new Figures(took, grown);
    }

    private static void report(ActorSystem<Object> system, String name, Workload workload, long n) throws Exception {
        Figures run = once(system, workload, n);
        double units = workload.units().applyAsLong(n);
        System.out.printf(Locale.ROOT,
                "{\"workload\": \"%s\", \"ns_per_message\": %.3f, \"unit\": \"%s\", \"ms\": %.3f, "
                        + "\"bytes_each\": %.1f}%n",
                name, run.ns() / units, workload.unit(), run.ns() / 1e6, run.bytes() / units);
        System.out.flush();
    }

    /** Until the compiler has had a second and a half, at most ten times. */
    private static void warmUp(ActorSystem<Object> system, Workload workload, long n) throws Exception {
        long until = System.nanoTime() + 1_500_000_000L;
        for (int i = 0; i < 10 && (i < 2 || System.nanoTime() < until); i++)
            once(system, workload, n);
    }

    public static void main(String[] arguments) throws Exception {
        Messages.add(workloads);
        Meetings.add(workloads);
        Accounts.add(workloads);
        Computations.add(workloads);
        Workload workload = workloads.get(arguments[0]);
        if (workload == null) {
            System.err.println("pekko: no such workload");
            System.exit(3);
        }
        long n = Long.parseLong(arguments[2]);
        ActorSystem<Object> system = ActorSystem.create(guardian(), "peers");
        warmUp(system, workload, workload == workloads.get(IDLE) ? Messages.BURST : n);
        if (arguments.length < 4) {
            report(system, arguments[0], workload, n);
        } else {
            System.out.println("ready");
            System.out.flush();
            var lines = new BufferedReader(new InputStreamReader(System.in));
            while (lines.readLine() != null)
                report(system, arguments[0], workload, n);
        }
        system.terminate();
        System.exit(0);
    }

    private Main() {}
}
