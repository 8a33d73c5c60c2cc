// SPDX-License-Identifier: MIT
package peers;

/** The generator that all systems use. */
final class Random {
    private int seed;

    Random(int seed) {
        this.seed = seed;
    }

    /** 16 bits. */
    int next() {
        seed = seed * 1664525 + 1013904223;
        return seed >>> 16;
    }

    /** 30 bits. */
    int draw() {
        int high = next() & 0x7FFF;
        return high << 15 | next() & 0x7FFF;
    }

    static int work(int seed, int iterations) {
        while (iterations-- > 0)
            seed = seed * 1664525 + 1013904223;
        return seed;
    }
}
