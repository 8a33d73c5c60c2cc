%% SPDX-License-Identifier: MIT
%% Workloads of actors that meet around a common one.
-module(meetings).
-export([chameneos/1, dictionary/1, bounded_buffer/1, philosophers/1, sleeping_barber/1, smokers/1, logistic_map/1,
         bank/1]).

chameneos(N) ->
    Mall = self(),
    [spawn_link(fun() -> Mall ! {meet, self(), I rem 3}, creature(Mall, I rem 3, 0) end) || I <- lists:seq(1, 100)],
    Met = mall(N, none, 100, 0),
    {4 * N, message, fun() -> Met =:= 2 * N end}.

mall(_, _, 0, Met) -> Met;
mall(Left, Waiting, Here, Met) ->
    receive
        {meet, From, _} when Left =:= 0 -> From ! exit, mall(0, none, Here, Met);
        {meet, From, _} when Waiting =:= none -> mall(Left, From, Here, Met);
        {meet, _, _} = Meet -> Waiting ! Meet, mall(Left - 1, none, Here, Met);
        {count, Count} -> mall(Left, Waiting, Here - 1, Met + Count)
    end.

creature(Mall, Colour, Meetings) ->
    receive
        {meet, Other, Its} ->
            New = complement(Colour, Its),
            Other ! {change, New},
            Mall ! {meet, self(), New},
            creature(Mall, New, Meetings + 1);
        {change, New} ->
            Mall ! {meet, self(), New},
            creature(Mall, New, Meetings + 1);
        exit -> Mall ! {count, Meetings}
    end.

complement(A, A) -> A;
complement(A, B) -> 3 - A - B.

dictionary(N) ->
    Share = N div 20,
    Master = self(),
    Dictionary = spawn_link(fun entries/0),
    [spawn_link(fun() -> Master ! {right, worker(Dictionary, Share, I * 7919 + 1, 0)} end) || I <- lists:seq(0, 19)],
    Right = lists:sum([receive {right, R} -> R end || _ <- lists:seq(1, 20)]),
    {Share * 40, message, fun() -> Right =:= Share * 20 end}.

%% The process dictionary is the one hash table that changes in place.
entries() ->
    receive
        {get, Key, From} -> From ! {value, get(Key)};
        {put, Key, From} -> put(Key, Key), From ! {value, Key}
    end,
    entries().

worker(_, 0, _, Right) -> Right;
worker(Dictionary, Left, Seed, Right) ->
    {A, Seed1} = peers:random(Seed),
    {B, Seed2} = peers:random(Seed1),
    Key = A rem 4096 + 1,
    if
        B rem 100 < 10 -> Dictionary ! {put, Key, self()};
        true -> Dictionary ! {get, Key, self()}
    end,
    receive
        {value, undefined} -> worker(Dictionary, Left - 1, Seed2, Right + 1);
        {value, Key} -> worker(Dictionary, Left - 1, Seed2, Right + 1);
        {value, _} -> worker(Dictionary, Left - 1, Seed2, Right)
    end.

bounded_buffer(N) ->
    Share = N div 40,
    Manager = self(),
    Producers = [spawn_link(fun() -> producer(Manager, Share, I) end) || I <- lists:seq(1, 40)],
    Consumers = [spawn_link(fun() -> consumer(Manager, 0) end) || _ <- lists:seq(1, 40)],
    [P ! produce || P <- Producers],
    Sum = manager(queue:new(), 0, Consumers, 40, [], 0, 0),
    {Share * 160, message,
     fun() -> Sum =:= lists:sum([items(I, Share, 0) || I <- lists:seq(1, 40)]) band 16#FFFFFFFF end}.

items(_, 0, Sum) -> Sum;
items(Item, Left, Sum) -> Next = peers:work(Item, 25), items(Next, Left - 1, Sum + Next).

producer(Manager, 0, _) -> receive produce -> Manager ! finished end;
producer(Manager, Left, Item) ->
    receive produce -> ok end,
    Next = peers:work(Item, 25),
    Manager ! {item, self(), Next},
    producer(Manager, Left - 1, Next).

consumer(Manager, Used) ->
    receive {item, Item} ->
        Now = Used bxor peers:work(Item, 25),
        Manager ! {available, self()},
        consumer(Manager, Now)
    end.

manager(_, _, _, 40, _, 40, Sum) -> Sum band 16#FFFFFFFF;
manager(Pending, Count, Consumers, Free, Producers, Finished, Sum) ->
    receive
        {item, From, Item} when Free > 0 ->
            [Consumer | Rest] = Consumers,
            Consumer ! {item, Item},
            From ! produce,
            manager(Pending, Count, Rest, Free - 1, Producers, Finished, Sum + Item);
        {item, From, Item} when Count + 1 >= 10 ->
            manager(queue:in(Item, Pending), Count + 1, Consumers, Free, [From | Producers], Finished, Sum + Item);
        {item, From, Item} ->
            From ! produce,
            manager(queue:in(Item, Pending), Count + 1, Consumers, Free, Producers, Finished, Sum + Item);
        {available, From} when Count =:= 0 ->
            manager(Pending, 0, [From | Consumers], Free + 1, Producers, Finished, Sum);
        {available, From} ->
            {{value, Item}, Rest} = queue:out(Pending),
            From ! {item, Item},
            manager(Rest, Count - 1, Consumers, Free, wake(Producers), Finished, Sum);
        finished ->
            manager(Pending, Count, Consumers, Free, Producers, Finished + 1, Sum)
    end.

wake([]) -> [];
wake([Producer | Rest]) -> Producer ! produce, Rest.

philosophers(N) ->
    Share = N div 20,
    Arbitrator = self(),
    [spawn_link(fun() -> philosopher(Arbitrator, I, Share) end) || I <- lists:seq(0, 19)],
    Meals = arbitrator(0, 20, 0),
    {Share * 20, meal, fun() -> Meals =:= Share * 20 end}.

philosopher(Arbitrator, _, 0) -> Arbitrator ! leave;
philosopher(Arbitrator, Seat, Left) ->
    Arbitrator ! {hungry, self(), Seat},
    receive
        denied -> philosopher(Arbitrator, Seat, Left);
        eat -> Arbitrator ! {done, Seat}, philosopher(Arbitrator, Seat, Left - 1)
    end.

%% The forks in use are the bits of a small integer.
arbitrator(_, 0, Meals) -> Meals;
arbitrator(Used, Here, Meals) ->
    receive
        {hungry, From, Seat} ->
            Forks = forks(Seat),
            if
                Used band Forks =:= 0 -> From ! eat, arbitrator(Used bor Forks, Here, Meals);
                true -> From ! denied, arbitrator(Used, Here, Meals)
            end;
        {done, Seat} -> arbitrator(Used band bnot forks(Seat), Here, Meals + 1);
        leave -> arbitrator(Used, Here - 1, Meals)
    end.

forks(Seat) -> 1 bsl Seat bor 1 bsl ((Seat + 1) rem 20).

sleeping_barber(N) ->
    Factory = self(),
    Room = spawn_link(fun() -> receive {barber, Barber} -> room(Barber, queue:new(), 0, false) end end),
    Barber = spawn_link(fun() -> barber(Room, 1) end),
    Room ! {barber, Barber},
    Factory ! next,
    Served = factory(Room, N, N, 0, 1),
    {N, customer, fun() -> Served =:= N end}.

factory(_, Wanted, _, Wanted, _) -> Wanted;
factory(Room, Wanted, Left, Served, Seed) ->
    receive
        next ->
            Next = peers:work(Seed, 50),
            Self = self(),
            Room ! {enter, spawn(fun() -> customer(Self) end)},
            Left > 1 andalso (Self ! next),
            factory(Room, Wanted, Left - 1, Served, Next);
        {returned, Customer} -> Room ! {enter, Customer}, factory(Room, Wanted, Left, Served, Seed);
        done -> factory(Room, Wanted, Left, Served + 1, Seed)
    end.

customer(Factory) ->
    receive
        full -> Factory ! {returned, self()}, customer(Factory);
        done -> Factory ! done;
        _ -> customer(Factory)
    end.

room(Barber, Seats, Count, Busy) ->
    receive
        {enter, Customer} when not Busy -> Barber ! {enter, Customer}, room(Barber, Seats, Count, true);
        {enter, Customer} when Count =:= 1000 -> Customer ! full, room(Barber, Seats, Count, Busy);
        {enter, Customer} -> Customer ! wait, room(Barber, queue:in(Customer, Seats), Count + 1, Busy);
        next when Count =:= 0 -> room(Barber, Seats, 0, false);
        next ->
            {{value, Customer}, Rest} = queue:out(Seats),
            Barber ! {enter, Customer},
            room(Barber, Rest, Count - 1, true)
    end.

barber(Room, Seed) ->
    receive {enter, Customer} ->
        Customer ! start,
        Next = peers:work(Seed, 50),
        Customer ! done,
        Room ! next,
        barber(Room, Next)
    end.

smokers(N) ->
    Arbiter = self(),
    Smokers = list_to_tuple([spawn_link(fun() -> smoker(Arbiter, 0) end) || _ <- lists:seq(1, 200)]),
    Rounds = arbiter(Smokers, N, 1, 0),
    {2 * N, message, fun() -> Rounds =:= N end}.

arbiter(_, 0, _, Rounds) -> Rounds;
arbiter(Smokers, Left, Seed, Rounds) ->
    {A, Seed1} = peers:random(Seed),
    {B, Seed2} = peers:random(Seed1),
    element(A rem 200 + 1, Smokers) ! {smoke, B rem 50},
    receive started -> arbiter(Smokers, Left - 1, Seed2, Rounds + 1) end.

smoker(Arbiter, Smoke) ->
    receive {smoke, Iterations} ->
        Arbiter ! started,
        smoker(Arbiter, peers:work(Smoke, Iterations))
    end.

rate(I) -> 3.46 + 0.0025 * I.
first_term(I) -> 0.1 + 0.01 * I.

logistic_map(N) ->
    Share = N div 10,
    Master = self(),
    Series = [begin
        Computer = spawn_link(fun() -> computer(rate(I)) end),
        spawn_link(fun() -> series(Computer, first_term(I), Master) end)
    end || I <- lists:seq(0, 9)],
    want(Share, Series),
    [S ! get || S <- Series],
    Sum = lists:sum([receive {term, T} -> T end || _ <- Series]),
    {Share * 30, message, fun() ->
        Expected = lists:sum([terms(rate(I), first_term(I), Share) || I <- lists:seq(0, 9)]),
        abs(Sum - Expected) < 1.0e-9
    end}.

want(0, _) -> ok;
want(Left, Series) -> [S ! next || S <- Series], want(Left - 1, Series).

terms(_, X, 0) -> X;
terms(R, X, Left) -> terms(R, R * X * (1 - X), Left - 1).

computer(R) ->
    receive {compute, From, X} -> From ! {term, R * X * (1 - X)}, computer(R) end.

series(Computer, X, Master) -> series(Computer, X, 0, false, Master).

%% Counts what is wanted instead of a selective receive, which would look at all that waits.
series(_, X, 0, true, Master) -> Master ! {term, X};
series(Computer, X, Wanted, Asked, Master) ->
    receive
        next when Wanted =:= 0 -> Computer ! {compute, self(), X}, series(Computer, X, 1, Asked, Master);
        next -> series(Computer, X, Wanted + 1, Asked, Master);
        {term, New} when Wanted =:= 1 -> series(Computer, New, 0, Asked, Master);
        {term, New} -> Computer ! {compute, self(), New}, series(Computer, New, Wanted - 1, Asked, Master);
        get -> series(Computer, X, Wanted, true, Master)
    end.

%% Long queues off the heap: else each collection of garbage would go through them.
bank(N) ->
    OffHeap = {message_queue_data, off_heap},
    Teller = self(),
    process_flag(message_queue_data, off_heap),
    Pids = [spawn_opt(fun() -> account(0, Teller) end, [link, OffHeap]) || _ <- lists:seq(1, 1000)],
    All = list_to_tuple(Pids),
    persistent_term:put(accounts, All), % not a copy for each
    transfers(N, All, 1),
    done(N),
    [P ! close || P <- Pids],
    Total = lists:sum([receive {balance, B} -> B end || _ <- Pids]),
    {4 * N, message, fun() -> Total =:= 0 end}.

transfers(0, _, _) -> ok;
transfers(Left, All, Seed) ->
    {A, Seed1} = peers:random(Seed),
    {B, Seed2} = peers:random(Seed1),
    {C, Seed3} = peers:random(Seed2),
    From = A rem 999,
    To = From + 1 + B rem (999 - From),
    element(From + 1, All) ! {transfer, To + 1, C rem 1000},
    transfers(Left - 1, All, Seed3).

done(0) -> ok;
done(Left) -> receive done -> done(Left - 1) end.

%% Keeps the transfers that come while it waits by itself: a selective receive would look at all of them for each
%% answer.
account(Balance, Teller) ->
    receive
        {transfer, To, Amount} -> account_begin(Balance, To, Amount, Teller, queue:new());
        {deposit, From, Amount} -> From ! deposited, account(Balance + Amount, Teller);
        close -> Teller ! {balance, Balance}
    end.

account_begin(Balance, To, Amount, Teller, Kept) ->
    element(To, persistent_term:get(accounts)) ! {deposit, self(), Amount},
    account_waiting(Balance - Amount, Teller, Kept).

account_waiting(Balance, Teller, Kept) ->
    receive
        {transfer, To, Amount} -> account_waiting(Balance, Teller, queue:in({To, Amount}, Kept));
        {deposit, From, Amount} -> From ! deposited, account_waiting(Balance + Amount, Teller, Kept);
        deposited ->
            Teller ! done,
            case queue:out(Kept) of
                {empty, _} -> account(Balance, Teller);
                {{value, {To, Amount}}, Rest} -> account_begin(Balance, To, Amount, Teller, Rest)
            end
    end.
