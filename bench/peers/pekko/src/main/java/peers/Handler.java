// SPDX-License-Identifier: MIT
package peers;

import org.apache.pekko.actor.typed.Behavior;
import org.apache.pekko.actor.typed.ExtensibleBehavior;
import org.apache.pekko.actor.typed.Signal;
import org.apache.pekko.actor.typed.TypedActorContext;
import org.apache.pekko.actor.typed.javadsl.ActorContext;

/** A behaviour without a table of matchers: the fastest form that the typed interface has. */
abstract class Handler<T> extends ExtensibleBehavior<T> {
    final ActorContext<T> context;

    Handler(ActorContext<T> context) {
        this.context = context;
    }

    abstract Behavior<T> on(T message);

    @Override
    public Behavior<T> receive(TypedActorContext<T> ignored, T message) {
        return on(message);
    }

    @Override
    public Behavior<T> receiveSignal(TypedActorContext<T> ignored, Signal signal) {
        return this;
    }
}
