%% SPDX-License-Identifier: MIT
%% The six workloads of the core, and what an idle process needs, on bare processes.
-module(messages).
-export([ping_pong/1, counting/1, ring/1, big/1, fork_join_create/1, fork_join/1, idle/1]).

ping_pong(N) ->
    Pong = spawn_link(fun pong/0),
    Master = self(),
    spawn_link(fun() -> Pong ! {self(), N div 2 * 2 - 1}, ping(Pong, Master, 0) end),
    receive {rallies, Rallies} -> {N div 2 * 2, message, fun() -> Rallies =:= N div 2 end} end.

ping(Pong, Master, Rallies) ->
    receive
        {_, 0} -> Master ! {rallies, Rallies + 1};
        {From, Left} -> From ! {self(), Left - 1}, ping(Pong, Master, Rallies + 1)
    end.

pong() ->
    receive {From, Left} -> From ! {self(), Left - 1}, pong() end.

counting(N) ->
    Master = self(),
    Counter = spawn_link(fun() -> count(N, 0, Master) end),
    spawn_link(fun() -> produce(N, Counter) end),
    receive {counted, Counted} -> {N, message, fun() -> Counted =:= N end} end.

count(N, N, Master) -> Master ! {counted, N};
count(N, Counted, Master) -> receive {count, _} -> count(N, Counted + 1, Master) end.

produce(0, _) -> ok;
produce(Left, Counter) -> Counter ! {count, Left}, produce(Left - 1, Counter).

ring(N) ->
    Master = self(),
    First = spawn_link(fun() -> receive {next, Next} -> member(Next, Master) end end),
    Last = lists:foldl(fun(_, Next) -> spawn_link(fun() -> member(Next, Master) end) end, First, lists:seq(2, 100)),
    First ! {next, Last},
    First ! {token, N - 1},
    receive
        {last, Pid} ->
            %% first, last made, ..., second made
            {N, message, fun() -> ((N - 1) rem 100 =/= 0) orelse Pid =:= First end}
    end.

member(Next, Master) ->
    receive
        {token, 0} -> Master ! {last, self()}, member(Next, Master);
        {token, Left} -> Next ! {token, Left - 1}, member(Next, Master)
    end.

big(N) ->
    Rounds = N div 128,
    Master = self(),
    Pids = [spawn_link(fun() -> receive {all, All} -> big_next(All, Master, Rounds, I * 7919 + 1, 0) end end)
            || I <- lists:seq(0, 63)],
    All = list_to_tuple(Pids),
    [Pid ! {all, All} || Pid <- Pids],
    Answers = [receive {finished, A} -> A end || _ <- Pids],
    {Rounds * 128, message, fun() -> lists:sum(Answers) =:= Rounds * 64 end}.

big_next(All, Master, 0, Seed, Answers) ->
    Master ! {finished, Answers},
    big(All, Master, 0, Seed, Answers);
big_next(All, Master, Left, Seed, Answers) ->
    {Random, Next} = peers:random(Seed),
    element(Random rem 64 + 1, All) ! {ask, self()},
    big(All, Master, Left - 1, Next, Answers).

big(All, Master, Left, Seed, Answers) ->
    receive
        {ask, From} -> From ! answer, big(All, Master, Left, Seed, Answers);
        answer -> big_next(All, Master, Left, Seed, Answers + 1)
    end.

fork_join_create(N) ->
    Master = self(),
    spawn_link(fun() -> fork(N, Master) end),
    Joined = join(N, 0),
    {N, actor, fun() -> Joined =:= N end}.

fork(0, _) -> ok;
fork(Left, Master) ->
    spawn(fun() -> receive {work, _} -> Master ! done end end) ! {work, Left},
    Left rem 256 =:= 0 andalso erlang:yield(),
    fork(Left - 1, Master).

idle(N) ->
    Master = self(),
    Forker = spawn_link(fun() -> keep(N, Master), receive never -> ok end end),
    Joined = join(N, 0),
    erlang:garbage_collect(Forker),
    {N, actor, fun() -> Joined =:= N end}.

keep(0, _) -> ok;
keep(Left, Master) ->
    spawn_link(fun() -> answer(Master) end) ! {work, Left},
    Left rem 256 =:= 0 andalso erlang:yield(),
    keep(Left - 1, Master).

answer(Master) -> receive {work, _} -> Master ! done, answer(Master) end.

join(0, Joined) -> Joined;
join(Left, Joined) -> receive done -> join(Left - 1, Joined + 1) end.

fork_join(N) ->
    Share = N div 60,
    Master = self(),
    Sinks = [spawn_link(fun() -> count(Share, 0, Master) end) || _ <- lists:seq(1, 60)],
    spawn_link(fun() -> spray(Share, Sinks) end),
    Received = [receive {counted, Counted} -> Counted end || _ <- Sinks],
    {Share * 60, message, fun() -> lists:sum(Received) =:= Share * 60 end}.

spray(0, _) -> ok;
spray(Left, Sinks) -> send_all(Left, Sinks), spray(Left - 1, Sinks).

send_all(_, []) -> ok;
send_all(Value, [Sink | Rest]) -> Sink ! {count, Value}, send_all(Value, Rest).
