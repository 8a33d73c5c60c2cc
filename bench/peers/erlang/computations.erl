%% SPDX-License-Identifier: MIT
%% Workloads that compute.
-module(computations).
-export([fib/1, nqueens/1, sieve/1, radix_sort/1, quicksort/1, trapezoid/1, matmul/1, astar/1]).

fib(N) ->
    Self = self(),
    spawn(fun() -> fib(N, Self) end),
    receive {result, Value} -> {2 * fibonacci(N, 0, 1) - 1, actor, fun() -> Value =:= fibonacci(N, 0, 1) end} end.

fib(N, Parent) when N =< 2 -> Parent ! {result, 1};
fib(N, Parent) ->
    Self = self(),
    spawn(fun() -> fib(N - 1, Self) end),
    spawn(fun() -> fib(N - 2, Self) end),
    A = receive {result, X} -> X end,
    B = receive {result, Y} -> Y end,
    Parent ! {result, A + B}.

fibonacci(0, A, _) -> A;
fibonacci(N, A, B) -> fibonacci(N - 1, B, A + B).

nqueens(N) ->
    All = 1 bsl N - 1,
    Master = self(),
    Workers = list_to_tuple([spawn_link(fun() -> queens_worker(Master, All) end) || _ <- lists:seq(1, 20)]),
    element(1, Workers) ! {board, 0, 0, 0, 0},
    Solutions = queens_master(Workers, 1, 1, 0),
    {1, run, fun() -> Solutions =:= element(N + 1, {1, 1, 0, 0, 2, 10, 4, 40, 92, 352, 724, 2680, 14200, 73712}) end}.

queens_master(_, 0, _, Solutions) -> Solutions;
queens_master(Workers, Missing, Dealt, Solutions) ->
    receive
        {done, Found} -> queens_master(Workers, Missing - 1, Dealt, Solutions + Found);
        Board ->
            element(Dealt rem 20 + 1, Workers) ! Board,
            queens_master(Workers, Missing + 1, Dealt + 1, Solutions)
    end.

queens_worker(Master, All) ->
    receive
        {board, Columns, Left, Right, 4} ->
            Master ! {done, queens(Columns, Left, Right, All)};
        {board, Columns, Left, Right, Queens} ->
            extend(Master, All band bnot (Columns bor Left bor Right), Columns, Left, Right, Queens),
            Master ! {done, 0}
    end,
    queens_worker(Master, All).

extend(_, 0, _, _, _, _) -> ok;
extend(Master, Free, Columns, Left, Right, Queens) ->
    Bit = Free band -Free,
    Master ! {board, Columns bor Bit, (Left bor Bit) bsl 1, (Right bor Bit) bsr 1, Queens + 1},
    extend(Master, Free band (Free - 1), Columns, Left, Right, Queens).

queens(All, _, _, All) -> 1;
queens(Columns, Left, Right, All) ->
    queens_below(All band bnot (Columns bor Left bor Right), Columns, Left, Right, All, 0).

queens_below(0, _, _, _, _, Found) -> Found;
queens_below(Free, Columns, Left, Right, All, Found) ->
    Bit = Free band -Free,
    More = queens(Columns bor Bit, (Left bor Bit) bsl 1 band All, (Right bor Bit) bsr 1, All),
    queens_below(Free band (Free - 1), Columns, Left, Right, All, Found + More).

sieve(N) ->
    Master = self(),
    First = spawn_link(fun() -> filter([], 0, none, Master) end),
    candidates(3, N, First),
    First ! {finish, 1},
    receive {primes, Count} -> {1, run, fun() -> Count =:= peers:count_primes(N) end} end.

candidates(I, N, _) when I >= N -> ok;
candidates(I, N, First) -> First ! I, candidates(I + 2, N, First).

%% Small primes divide most: they must come first, so the list grows in chunks that are kept in order.
filter(Primes, Count, Next, Master) ->
    receive
        {finish, Before} when Next =:= none -> Master ! {primes, Before + Count};
        {finish, Before} -> Next ! {finish, Before + Count}, filter(Primes, Count, Next, Master);
        I when Count < 1000 ->
            case divides(Primes, I) of
                true -> filter(Primes, Count, Next, Master);
                false -> filter(add(Primes, I), Count + 1, Next, Master)
            end;
        I ->
            case divides(Primes, I) of
                true -> filter(Primes, Count, Next, Master);
                false when Next =:= none ->
                    New = spawn_link(fun() -> filter([], 0, none, Master) end),
                    New ! I,
                    filter(Primes, Count, New, Master);
                false -> Next ! I, filter(Primes, Count, Next, Master)
            end
    end.

add(Primes, I) -> Primes ++ [I].

divides([], _) -> false;
divides([P | _], I) when I rem P =:= 0 -> true;
divides([_ | Rest], I) -> divides(Rest, I).

radix_sort(N) ->
    Sink = self(),
    First = lists:foldl(fun(Bit, Next) -> spawn_link(fun() -> sorter(Bit, N, Next, []) end) end, Sink,
                        lists:seq(29, 0, -1)),
    spawn_link(fun() -> numbers(N, First, 1) end),
    {Sorted, Sum} = sink(N, 0, 0, true),
    {N * 31, message, fun() -> Sorted andalso Sum =:= sum(N, 1, 0) end}.

numbers(0, _, _) -> ok;
numbers(Left, First, Seed) -> {I, Next} = peers:draw(Seed), First ! I, numbers(Left - 1, First, Next).

sum(0, _, Sum) -> Sum;
sum(Left, Seed, Sum) -> {I, Next} = peers:draw(Seed), sum(Left - 1, Next, Sum + I).

sorter(_, 0, Next, Kept) -> [Next ! I || I <- lists:reverse(Kept)], ok;
sorter(Bit, Left, Next, Kept) ->
    receive
        I when (I bsr Bit) band 1 =:= 0 -> Next ! I, sorter(Bit, Left - 1, Next, Kept);
        I -> sorter(Bit, Left - 1, Next, [I | Kept])
    end.

sink(0, _, Sum, Sorted) -> {Sorted, Sum};
sink(Left, Last, Sum, Sorted) ->
    receive I when is_integer(I) -> sink(Left - 1, I, Sum + I, Sorted andalso I >= Last) end.

quicksort(N) ->
    Items = draw_list(N, 1),
    Self = self(),
    spawn_link(fun() -> Self ! {whole, qsort(Items)} end),
    receive
        {whole, Sorted} ->
            {1, run, fun() -> Sorted =:= lists:sort(Items) end}
    end.

draw_list(0, _) -> [];
draw_list(Left, Seed) -> {I, Next} = peers:draw(Seed), [I | draw_list(Left - 1, Next)].

qsort(Items) ->
    Length = length(Items),
    if Length < 2048 -> lists:sort(Items); true -> split(Items, lists:nth(Length div 2 + 1, Items)) end.

split(Items, Pivot) ->
    {Less, Equal, More} = partition(Items, Pivot, [], [], []),
    Self = self(),
    spawn_link(fun() -> Self ! {left, qsort(Less)} end),
    spawn_link(fun() -> Self ! {right, qsort(More)} end),
    Left = receive {left, L} -> L end,
    Right = receive {right, R} -> R end,
    Left ++ Equal ++ Right.

partition([], _, Less, Equal, More) -> {Less, Equal, More};
partition([I | Rest], Pivot, Less, Equal, More) when I < Pivot -> partition(Rest, Pivot, [I | Less], Equal, More);
partition([I | Rest], Pivot, Less, Equal, More) when I > Pivot -> partition(Rest, Pivot, Less, Equal, [I | More]);
partition([I | Rest], Pivot, Less, Equal, More) -> partition(Rest, Pivot, Less, [I | Equal], More).

f(X) -> 1 / (X + 1) * math:sqrt(1 + math:exp(math:sqrt(2 * X))) * math:sin(X * X * X - 1).

integrate(_, _, 0, _, Sum) -> Sum;
integrate(Left, Width, Pieces, I, Sum) ->
    X = Left + I * Width,
    integrate(Left, Width, Pieces - 1, I + 1, Sum + (f(X) + f(X + Width)) / 2 * Width).

trapezoid(N) ->
    Pieces = N div 100,
    Width = 4 / (Pieces * 100),
    Self = self(),
    [spawn_link(fun() -> Self ! {area, integrate(1 + I * Pieces * Width, Width, Pieces, 0, 0.0)} end)
     || I <- lists:seq(0, 99)],
    Area = lists:sum([receive {area, A} -> A end || _ <- lists:seq(1, 100)]),
    {1, run, fun() -> abs(Area - integrate(1, Width, Pieces * 100, 0, 0.0)) < 1.0e-9 end}.

%% Persistent terms are what processes share without a copy: rows of the first matrix, columns of the second one. There
%% is no common place to write results into: they go to the master.
matmul(N) ->
    Master = self(),
    matrices(N),
    Workers = list_to_tuple([spawn_link(fun() -> multiplier(Master) end) || _ <- lists:seq(1, 20)]),
    element(1, Workers) ! {block, 0, 0, N},
    Blocks = matmul_master(Workers, 1, 1, []),
    {1, run, fun() -> lists:all(fun right_block/1, Blocks) andalso covered(Blocks) =:= N * N end}.

matrices(N) ->
    case persistent_term:get(rows, none) of
        none ->
            All = lists:seq(0, N - 1),
            persistent_term:put(rows, list_to_tuple([[float((I + K) rem 7) || K <- All] || I <- All])),
            persistent_term:put(columns, list_to_tuple([[float((K * 3 + J) rem 5) || K <- All] || J <- All]));
        _ -> ok
    end.

matmul_master(_, 0, _, Blocks) -> Blocks;
matmul_master(Workers, Missing, Dealt, Blocks) ->
    receive
        {block, _, _, _} = Block ->
            element(Dealt rem 20 + 1, Workers) ! Block,
            matmul_master(Workers, Missing + 1, Dealt + 1, Blocks);
        done -> matmul_master(Workers, Missing - 1, Dealt, Blocks);
        {product, _, _, _, _} = Product -> matmul_master(Workers, Missing - 1, Dealt, [Product | Blocks])
    end.

multiplier(Master) ->
    receive
        {block, Row, Column, Size} when Size =< 32 ->
            Master ! {product, Row, Column, Size, multiply(Row, Column, Size)};
        {block, Row, Column, Size} ->
            Half = Size div 2,
            [Master ! {block, Row + I, Column + J, Half} || I <- [0, Half], J <- [0, Half]],
            Master ! done
    end,
    multiplier(Master).

multiply(Row, Column, Size) ->
    Rows = persistent_term:get(rows),
    Columns = [element(J, persistent_term:get(columns)) || J <- lists:seq(Column + 1, Column + Size)],
    [dots(element(I, Rows), Columns) || I <- lists:seq(Row + 1, Row + Size)].

dots(_, []) -> [];
dots(Row, [Column | Columns]) -> [dot(Row, Column, 0.0) | dots(Row, Columns)].

dot([], [], Sum) -> Sum;
dot([A | As], [B | Bs], Sum) -> dot(As, Bs, Sum + A * B).

covered(Blocks) -> lists:sum([Size * Size || {product, _, _, Size, _} <- Blocks]).

%% The first row of a block, by its definition.
right_block({product, Row, Column, Size, [First | _]}) ->
    A = element(Row + 1, persistent_term:get(rows)),
    First =:= [lists:sum(lists:zipwith(fun(X, Y) -> X * Y end, A, element(J, persistent_term:get(columns))))
               || J <- lists:seq(Column + 1, Column + Size)].

%% The nodes that are taken are atomics; the nearest ones come first by an ordered set.
astar(N) ->
    Seen = atomics:new(N * N * N, []),
    Master = self(),
    Workers = list_to_tuple([spawn_link(fun() -> searcher(Master, N, Seen) end) || _ <- lists:seq(1, 20)]),
    atomics:put(Seen, 1, 1),
    element(1, Workers) ! {node, 0},
    Closed = astar_master(Workers, 1, 1, 0),
    {1, run, fun() -> Closed =:= N * N * N end}.

astar_master(_, 0, _, Closed) -> Closed;
astar_master(Workers, Missing, Dealt, Closed) ->
    receive
        {node, _} = Node ->
            element(Dealt rem 20 + 1, Workers) ! Node,
            astar_master(Workers, Missing + 1, Dealt + 1, Closed);
        {done, Opened} -> astar_master(Workers, Missing - 1, Dealt, Closed + Opened)
    end.

searcher(Master, N, Seen) ->
    receive {node, Node} ->
        {Left, Opened} = search(gb_sets:singleton({distance(Node, N), Node}), N, Seen, 0),
        [Master ! {node, Open} || {_, Open} <- gb_sets:to_list(Left)],
        Master ! {done, Opened},
        searcher(Master, N, Seen)
    end.

search(Open, _, _, 1024) -> {Open, 1024};
search(Open, N, Seen, Opened) ->
    case gb_sets:is_empty(Open) of
        true -> {Open, Opened};
        false ->
            {{_, Node}, Rest} = gb_sets:take_smallest(Open),
            search(expand([1, N, N * N], Node, N, Seen, Rest), N, Seen, Opened + 1)
    end.

expand([], _, _, _, Open) -> Open;
expand([Step | Steps], Node, N, Seen, Open) ->
    Place = Node div Step rem N,
    Open1 = if Place > 0 -> try_node(Node - Step, N, Seen, Open); true -> Open end,
    Open2 = if Place + 1 < N -> try_node(Node + Step, N, Seen, Open1); true -> Open1 end,
    expand(Steps, Node, N, Seen, Open2).

try_node(Node, N, Seen, Open) ->
    case atomics:exchange(Seen, Node + 1, 1) of
        0 -> gb_sets:add_element({distance(Node, N), Node}, Open);
        1 -> Open
    end.

distance(Node, N) -> 3 * (N - 1) - Node rem N - Node div N rem N - Node div (N * N).
