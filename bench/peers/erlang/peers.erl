%% SPDX-License-Identifier: MIT
%% The contract of the peers: main([Workload, N, "paced" or ""]) prints a line of JSON for a run after a warm-up; paced,
%% one for each line of standard input (the workload idle warms up with few processes). A workload is a function of N
%% that runs to the end and returns {Units, Unit, Right}.
-module(peers).
-export([main/1, random/1, draw/1, work/2, count_primes/1]).

main([Name, Size, Paced]) ->
    N = list_to_integer(Size),
    Run = workload(Name),
    once(Run, case Name of "idle" -> 256; _ -> N end),
    case Paced of
        "paced" -> io:put_chars("ready\n"), paced(Name, Run, N);
        _ -> report(Name, Run, N)
    end,
    halt(0).

workload(Name) ->
    Function = list_to_atom(lists:map(fun($-) -> $_; (C) -> C end, Name)),
    Modules = [M || M <- [messages, meetings, computations],
                    {module, M} =:= code:ensure_loaded(M), erlang:function_exported(M, Function, 1)],
    case Modules of
        [Module] -> fun Module:Function/1;
        [] -> io:put_chars(standard_error, "no such workload\n"), halt(3)
    end.

paced(Name, Run, N) ->
    case io:get_line("") of
        eof -> ok;
        _ -> report(Name, Run, N), paced(Name, Run, N)
    end.

%% Each run has a process of its own: its heap and what it linked go with it.
once(Run, N) ->
    Self = self(),
    {Pid, Monitor} = spawn_opt(fun() ->
        process_flag(trap_exit, true),
        Before = resident(),
        Began = erlang:monotonic_time(nanosecond),
        {Units, Unit, Check} = Run(N),
        Took = erlang:monotonic_time(nanosecond) - Began,
        Self ! {self(), {Took, resident() - Before, Units, Unit}, Check()},
        exit(shutdown)
    end, [link, monitor]),
    unlink(Pid),
    receive {Pid, Figures, true} ->
        receive {'DOWN', Monitor, process, Pid, _} -> ok end,
        Figures;
    {Pid, _, Wrong} ->
        io:format(standard_error, "wrong result: ~p~n", [Wrong]), halt(1);
    {'DOWN', Monitor, process, Pid, Why} ->
        io:format(standard_error, "~p~n", [Why]), halt(1)
    end.

report(Name, Run, N) ->
    {Took, Grown, Units, Unit} = once(Run, N),
    io:format("{\"workload\": \"~s\", \"ns_per_message\": ~.3f, \"unit\": \"~s\", \"ms\": ~.3f, "
              "\"bytes_each\": ~.1f}~n",
              [Name, Took / Units, Unit, Took / 1.0e6, Grown / Units]).

%% Bytes of memory that the virtual machine has.
resident() ->
    {ok, Statm} = file:read_file("/proc/self/statm"),
    binary_to_integer(lists:nth(2, binary:split(Statm, <<" ">>, [global]))) * 4096.

%% The generator that all systems use: 16 bits, and the next seed.
random(Seed) ->
    Next = (Seed * 1664525 + 1013904223) band 16#FFFFFFFF,
    {Next bsr 16, Next}.

draw(Seed) ->
    {High, Seed1} = random(Seed),
    {Low, Seed2} = random(Seed1),
    {(High band 16#7FFF) bsl 15 bor (Low band 16#7FFF), Seed2}.

work(Seed, 0) -> Seed;
work(Seed, Iterations) -> work((Seed * 1664525 + 1013904223) band 16#FFFFFFFF, Iterations - 1).

count_primes(N) -> length([I || I <- lists:seq(2, N - 1), is_prime(I, 2)]).

is_prime(I, K) when K * K > I -> true;
is_prime(I, K) when I rem K =:= 0 -> false;
is_prime(I, K) -> is_prime(I, K + 1).
