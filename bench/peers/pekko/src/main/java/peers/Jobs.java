// SPDX-License-Identifier: MIT
package peers;

import java.util.Arrays;
import java.util.concurrent.atomic.AtomicIntegerArray;
import java.util.function.Consumer;

/** What workers compute. */
final class Jobs {
    /** What a master deals to 20 workers: they do items or give parts back. Returns: what the master adds up. */
    interface Job<I> {
        long work(I item, Consumer<I> give);
    }

    record Board(int columns, int left, int right, int queens) {}

    record Queens(int all) implements Job<Board> {
        private long count(int columns, int left, int right) {
            if (columns == all)
                return 1;
            long found = 0;
            for (int free = all & ~(columns | left | right); free != 0; free &= free - 1) {
                int bit = free & -free;
                found += count(columns | bit, (left | bit) << 1, (right | bit) >>> 1);
            }
            return found;
        }

        @Override
        public long work(Board b, Consumer<Board> give) {
            if (b.queens >= 4)
                return count(b.columns, b.left, b.right);
            for (int free = all & ~(b.columns | b.left | b.right); free != 0; free &= free - 1) {
                int bit = free & -free;
                give.accept(new Board(b.columns | bit, (b.left | bit) << 1, (b.right | bit) >>> 1, b.queens + 1));
            }
            return 0;
        }
    }

    record Block(int row, int column, int size) {}

    /** Of two n x n matrices, made once and kept from run to run. */
    static final class Product implements Job<Block> {
        private static Product kept;
        private final int n;
        private final double[] a, b, c;

        private Product(int n) {
            this.n = n;
            a = new double[n * n];
            b = new double[n * n];
            c = new double[n * n];
            for (int i = 0; i < n * n; i++) {
                a[i] = (i / n + i % n) % 7;
                b[i] = (i / n * 3 + i % n) % 5;
            }
        }

        static synchronized Product of(int n) {
            if (kept == null)
                kept = new Product(n);
            return kept;
        }

        @Override
        public long work(Block block, Consumer<Block> give) {
            int half = block.size / 2;
            if (block.size <= 32)
                multiply(block);
            else
                for (int i = 0; i < 4; i++)
                    give.accept(new Block(block.row + i / 2 * half, block.column + i % 2 * half, half));
            return 0;
        }

        private void multiply(Block block) {
            double[] sums = new double[block.size];
            for (int i = block.row; i < block.row + block.size; i++) {
                Arrays.fill(sums, 0);
                for (int k = 0; k < n; k++)
                    add(sums, a[i * n + k], k * n + block.column);
                System.arraycopy(sums, 0, c, i * n + block.column, sums.length);
            }
        }

        private void add(double[] sums, double factor, int from) {
            for (int j = 0; j < sums.length; j++)
                sums[j] += factor * b[from + j];
        }

        /** Every seventh row, by its definition; clears the result for the next run. */
        boolean right() {
            boolean right = true;
            for (int i = 0; i < n; i += 7)
                for (int j = 0; j < n; j++) {
                    double expected = 0;
                    for (int k = 0; k < n; k++)
                        expected += a[i * n + k] * b[k * n + j];
                    right &= c[i * n + j] == expected;
                }
            Arrays.fill(c, -1);
            return right;
        }
    }

    /** Nearest first; what was seen is common to all workers. */
    static final class Search implements Job<Integer> {
        private final int side;
        private final AtomicIntegerArray seen;
        private long[] heap = new long[1024]; // distance, node
        private int count;

        Search(int side, AtomicIntegerArray seen) {
            this.side = side;
            this.seen = seen;
        }

        static AtomicIntegerArray seen(int side) {
            var seen = new AtomicIntegerArray(side * side * side);
            seen.set(0, 1);
            return seen;
        }

        private void push(int node) {
            long distance = 3 * (side - 1) - node % side - node / side % side - node / side / side;
            long open = distance << 32 | node;
            if (count == heap.length)
                heap = Arrays.copyOf(heap, 2 * count);
            int at = count++;
            for (; at > 0 && heap[(at - 1) / 2] > open; at = (at - 1) / 2)
                heap[at] = heap[(at - 1) / 2];
            heap[at] = open;
        }

        private int pop() {
            int node = (int) heap[0], at = 0;
            long last = heap[--count];
            for (int child; (child = 2 * at + 1) < count; at = child) {
                if (child + 1 < count && heap[child + 1] < heap[child])
                    child++;
                if (heap[child] >= last)
                    break;
                heap[at] = heap[child];
            }
            heap[at] = last;
            return node;
        }

        private void take(int node) {
            if (seen.getAndSet(node, 1) == 0)
                push(node);
        }

        @Override
        public long work(Integer first, Consumer<Integer> give) {
            long opened = 0;
            push(first);
            for (; opened < 1024 && count > 0; opened++) {
                int node = pop();
                for (int axis = 0, step = 1; axis < 3; axis++, step *= side) {
                    int place = node / step % side;
                    if (place > 0)
                        take(node - step);
                    if (place + 1 < side)
                        take(node + step);
                }
            }
            while (count > 0)
                give.accept(pop());
            return opened;
        }
    }

    /** What a filter of the sieve holds: up to 1,000. */
    static final class Primes {
        private final int[] primes = new int[1000];
        int count;

        /** Must the candidate go to the next filter? */
        boolean pass(int candidate) {
            for (int i = 0; i < count; i++)
                if (candidate % primes[i] == 0)
                    return false;
            if (count < primes.length) {
                primes[count++] = candidate;
                return false;
            }
            return true;
        }

        static long below(long n) {
            long found = 0;
            for (long i = 2, k; i < n; i++) {
                for (k = 2; k * k <= i && i % k != 0; k++) {}
                found += k * k > i ? 1 : 0;
            }
            return found;
        }
    }

    /** The first count of an array, which a list of numbers may not fill. */
    record Numbers(long[] items, int count) {
        static Numbers draw(int n) {
            Random random = new Random(1);
            long[] items = new long[n];
            for (int i = 0; i < n; i++)
                items[i] = random.draw();
            return new Numbers(items, n);
        }

        long sum() {
            return Arrays.stream(items, 0, count).sum();
        }

        boolean isSorted() {
            long[] expected = draw(count).items;
            Arrays.sort(expected);
            return Arrays.equals(items, 0, count, expected, 0, count);
        }

        static Numbers join(Numbers left, long pivot, int equal, Numbers right) {
            long[] whole = new long[left.count + equal + right.count];
            System.arraycopy(left.items, 0, whole, 0, left.count);
            Arrays.fill(whole, left.count, left.count + equal, pivot);
            System.arraycopy(right.items, 0, whole, left.count + equal, right.count);
            return new Numbers(whole, whole.length);
        }
    }

    private static double f(double x) {
        return 1 / (x + 1) * Math.sqrt(1 + Math.exp(Math.sqrt(2 * x))) * Math.sin(x * x * x - 1);
    }

    /** By trapezoids of a width. */
    static double integrate(double left, double width, long pieces) {
        double sum = 0;
        for (long i = 0; i < pieces; i++) {
            double x = left + i * width;
            sum += (f(x) + f(x + width)) / 2 * width;
        }
        return sum;
    }

    static long fibonacci(long n) {
        long a = 0, b = 1;
        for (; n > 0; n--) {
            long next = a + b;
            a = b;
            b = next;
        }
        return a;
    }

    private Jobs() {}
}
