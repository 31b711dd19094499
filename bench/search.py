"""Compare searches in a million thoughts on PostgreSQL with a full scan.

Run this script with `python -m bench.search`.

The script runs many queries, in the same way as the API. For each query, it reads three pages: the oldest matches, the
newest matches, and page 1000. If there are fewer pages, the third page starts at a random id. Every result is
compared with a scan of all texts in Python.

The measured time is the CPU time of the PostgreSQL backend, as the median of three rounds. It is given as a share of a
full scan: an `ILIKE` that looks for a rare word in the whole table. The full scan is repeated regularly, because the
speed of the machine may change.
"""

import argparse
import bisect
import collections
import itertools
import os
import re
import statistics
import sys
import tempfile
import time
import timeit
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from importlib import import_module
from pathlib import Path
from random import Random
from typing import Any

import django
from django.core.management import call_command
from django.db import connection
from django.test import Client

from bench import latency
from bench.serve import UNLIMITED, authorizations
from bench.texts import EMOJI, texts
from common.folding import fold
from tools import postgres

FULL_SCAN = "SELECT id, username, text, timestamp FROM thoughts_api_thought WHERE text ILIKE '%quokka%'"
PAGE = 101  # the API reads this many rows for a page of 100
DEEP = 999 * 100  # number of rows before page 1000
ROUNDS = 3
CREATED = 3000  # number of thoughts that the function `creating` creates
EVERYTHING = range(2**63 - 1)  # ids
SINGULAR = [
    "%",
    "_",
    "'",
    '"',
    "\\",
    " ",
    "  ",
    "%%",
    "100 %",
    "_c",
    ". ",
    '"so"',
    "C:\\",
    "…",
    "!!!!!!",
    "(",
    "<3",
    "''",
    "#",
]


class Corpus:
    """All folded texts in one string, for a full scan in Python."""

    def __init__(self, ids: list[int], folded: list[str]) -> None:
        self.ids = ids
        encoded = [text.encode() for text in folded]
        self.text = b"\0".join(encoded)
        self.starts = list(itertools.accumulate((len(text) + 1 for text in encoded[:-1]), initial=0))

    def scan(self, substring: str, ids: range, descending: bool) -> Iterator[int]:
        """Yield the ids of texts that contain a folded substring, ascending or descending."""
        needle = substring.encode()
        first, last = bisect.bisect_left(self.ids, ids.start), bisect.bisect_left(self.ids, ids.stop)
        start = self.starts[first] if first < len(self.starts) else len(self.text)
        end = self.starts[last] if last < len(self.starts) else len(self.text)
        while True:
            at = self.text.rfind(needle, start, end) if descending else self.text.find(needle, start, end)
            if at < 0:
                return
            row = bisect.bisect_right(self.starts, at) - 1
            yield self.ids[row]
            if descending:
                end = self.starts[row]
            else:
                start = self.starts[row + 1] if row + 1 < len(self.starts) else len(self.text)


@dataclass
class Query:
    """A search text, and the time of each result page as a share of a full scan."""

    kind: str
    text: str
    shares: list[float] = field(default_factory=list)


class Clock:
    """A wrapper around database queries.

    It adds up the CPU time of the PostgreSQL backend, and records the statements.

    Unlike elapsed time, CPU time does not grow if other programs use the CPU. The class works on Linux only.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self.statements: list[tuple[str, Any]] = []

    def __call__(self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        """Run a statement and measure it. Django calls this method for each statement."""
        before = backend_seconds()
        try:
            return execute(sql, params, many, context)
        finally:
            self.seconds += backend_seconds() - before
            self.statements.append((sql, params))


def backend_seconds() -> float:
    """Return the CPU seconds that the PostgreSQL backend of `connection` has used."""
    # https://docs.kernel.org/scheduler/sched-stats.html#proc-pid-schedstat
    return int(Path(f"/proc/{connection.connection.info.backend_pid}/schedstat").read_text().split()[0]) / 1e9


def timed(action: Callable[[], Any]) -> tuple[Any, Clock]:
    """Call a function. Return its result, and the clock that measured its statements."""
    clock = Clock()
    with connection.execute_wrapper(clock):
        return action(), clock


def used(action: Callable[[], Any]) -> tuple[float, float]:
    """Call a function.

    Return the CPU seconds of this process and the backend together, and the elapsed seconds.
    """
    with connection.cursor():  # opens the connection first
        start = time.process_time() + backend_seconds(), time.perf_counter()
        action()
        return time.process_time() + backend_seconds() - start[0], time.perf_counter() - start[1]


def load(count: int) -> None:
    """Generate this number of thoughts, and write them to the table with COPY."""
    now = datetime.now(UTC)
    with connection.cursor() as cursor:
        columns = "username, text, folded, timestamp"
        with cursor.copy(f"COPY thoughts_api_thought ({columns}) FROM STDIN") as copy:
            for number, text in enumerate(itertools.islice(texts(), count)):
                copy.write_row((f"user{number * 7919 % 20011}", text, fold(text), now))
        cursor.execute("VACUUM ANALYZE thoughts_api_thought")


def index() -> None:
    """Build the search index without CONCURRENTLY, to measure how long that takes.

    Later, the migration builds the index again, with CONCURRENTLY.
    """
    migration: Any = import_module("thoughts_api.migrations.0002_search_index")
    with connection.cursor() as cursor:
        cursor.execute(migration.FUNCTION)
        cursor.execute(migration.INDEX.replace(" CONCURRENTLY", ""))


def queries(random: Random, folded: list[str], corpus: Corpus, count: int) -> list[Query]:
    """Return queries of all kinds.

    The kinds are substrings of texts, frequent words, symbols, and texts without matches.
    """
    ids = range(corpus.ids[0], corpus.ids[-1] + 1)
    cut = [
        Query("substrings of " + kind, substring) for kind, substring in itertools.islice(_cut(random, folded), count)
    ]

    sample = random.sample(folded, min(50_000, len(folded)))
    words = collections.Counter(word for text in sample for word in set(re.findall(r"\w+", text)))
    grams = collections.Counter(text[at : at + 3] for text in sample for at in range(len(text) - 2))
    common = [word for word, _ in words.most_common(60)]
    often = [Query("most frequent words", word) for word in common]
    middle = [
        Query("words in 2 to 5 % of the texts", word) for word in words if 0.02 < words[word] / len(sample) < 0.05
    ]
    rarer = [
        Query("words in 0.1 to 2 % of the texts", word) for word in words if 0.001 < words[word] / len(sample) < 0.02
    ]
    single = [Query("symbols", text) for text in [*SINGULAR, *map(fold, EMOJI)]]

    def absent(kind: str, make: Callable[[], str], wanted: int) -> Iterator[Query]:
        candidates = (make() for _ in range(wanted * 50))
        missing = (text for text in candidates if text and next(corpus.scan(text, ids, False), None) is None)
        return (Query(kind, text) for text in itertools.islice(missing, wanted))

    followers = collections.defaultdict(list)
    commonest = [gram for gram, _ in grams.most_common(400)]
    for gram in commonest:
        followers[gram[:2]].append(gram[2])

    def chain() -> str:
        text = random.choice(commonest)
        for _ in range(random.choice((1, 1, 2, 3, 5, 8, 20))):
            text += random.choice(followers.get(text[-2:]) or [""])
        return text

    def phrase() -> str:
        return " ".join(random.choices(common, k=random.randint(2, 6)))

    def typo() -> str:
        text = random.choice(folded)[:40]
        at = random.randrange(len(text))
        return text[:at] + random.choice("xqzж猫%") + text[at + 1 :]

    third = max(1, count // 20)
    return [
        *cut, *often, *middle, *random.sample(rarer, min(100, len(rarer))), *single,
        *absent("absent, made of frequent n-grams", chain, third),
        *absent("absent, made of frequent words", phrase, third),
        *absent("absent, with a changed letter", typo, third),
    ]  # fmt: skip


def _cut(random: Random, folded: list[str]) -> Iterator[tuple[str, str]]:
    lengths = [(1, 1), (2, 2), (3, 3), (4, 8), (9, 30), (31, 250)]
    while True:
        for shortest, longest in lengths:
            text = random.choice(folded)
            length = min(random.randint(shortest, longest), len(text))
            start = random.randint(0, len(text) - length)
            size = f"{shortest} to {longest}" if longest > 3 else str(shortest)
            kind = f"{size} character{'s' * (longest > 1)}"
            yield kind, text[start : start + length]


def pages(corpus: Corpus, random: Random, substring: str) -> list[tuple[range, bool]]:
    """Return three result pages, each as a pair of an id range and a direction.

    The direction is True if the order is descending.

    The first two are the pages with the lowest and with the highest ids. The third is page 1000, or starts at a
    random id if there are fewer pages.
    """
    ids = range(corpus.ids[0], corpus.ids[-1] + 1)
    deep = next(itertools.islice(corpus.scan(substring, ids, False), DEEP, None), None) or random.choice(corpus.ids)
    return [(EVERYTHING, False), (EVERYTHING, True), (EVERYTHING[deep:], False)]


def measure(all_queries: list[Query], corpus: Corpus, random: Random) -> tuple[float, float]:
    """Measure each query, and set its `shares`.

    Compare each result with that of a full scan in Python.

    Return two durations of the full scan, in seconds: the CPU time of a single process, and the elapsed time with
    PostgreSQL's parallel workers.
    """
    from thoughts_api.search import search

    def scan() -> float:
        with connection.cursor() as cursor:
            return timed(lambda: cursor.execute(FULL_SCAN))[1].seconds

    with connection.cursor() as cursor:
        parallel = min(timeit.repeat(partial(cursor.execute, FULL_SCAN), number=1, repeat=5))
        # Other processes must not do part of the scan, because their CPU time is not measured.
        cursor.execute("SET max_parallel_workers_per_gather = 0")
    scans = [scan() for _ in range(5)]
    times = []
    for number, query in enumerate(all_queries):
        if number % 25 == 0:
            scans.append(scan())
        substring = fold(query.text)
        for ids, descending in pages(corpus, random, substring):
            expected = list(itertools.islice(corpus.scan(substring, ids, descending), PAGE))
            rounds = []
            for _ in range(ROUNDS):
                rows, clock = timed(partial(search(query.text), ids, descending, PAGE))
                rounds.append(clock.seconds)
            if [row["id"] for row in rows] != expected:
                raise SystemExit(f"{query} from {ids}, descending: {descending}: differs from a full scan.")
            times.append((query, statistics.median(rounds)))
        if number % 200 == 0:
            print(f"{number} of {len(all_queries)} queries", file=sys.stderr, flush=True)
    base = statistics.median(scans)
    for query, seconds in times:
        query.shares.append(seconds / base)
    return base, parallel


def creating(write: Callable[[str], Any]) -> tuple[float, float]:
    """Create thoughts with `write`, then delete them.

    Return two averages for one creation: the CPU seconds and the elapsed seconds.
    """
    from thoughts_api.models import Thought

    written = list(itertools.islice(texts(seed=2), CREATED))
    last = Thought.objects.latest("id").pk
    cpu, wall = used(lambda: collections.deque(map(write, written), maxlen=0))
    deleted, _ = Thought.objects.filter(id__gt=last).delete()
    if deleted != CREATED:
        raise SystemExit(f"Only {deleted} of {CREATED} thoughts were created.")
    return cpu / CREATED, wall / CREATED


def writers(authorization: str) -> dict[str, Callable[[str], Any]]:
    """Return two functions that create a thought.

    One function sends a request to the API, the other uses the ORM alone.
    """
    from thoughts_api.models import Thought

    client = Client(headers={"Authorization": authorization, "Host": "localhost"})
    return {
        "whole request": lambda text: client.post("/api/me/thoughts/", {"text": text}, "application/json"),
        "only its row": lambda text: Thought.objects.create(username="bench", text=text),
    }


def reading() -> dict[str, float]:
    """Return the CPU milliseconds that the backend needs for pages without a search."""
    from thoughts_api import selection

    pages_of = {
        "the newest hundred thoughts": partial(selection.EVERYONE.page, EVERYTHING, True, PAGE),
        "the thoughts of an author": partial(selection.by_author("user1").page, EVERYTHING, True, PAGE),
    }
    return {
        name: statistics.median(timed(page)[1].seconds for _ in range(50)) * 1000 for name, page in pages_of.items()
    }


def plans(all_queries: list[Query]) -> Iterator[tuple[Query, list[list[str]]]]:
    """Yield the slowest query of each kind, with the execution plan of each statement."""
    from thoughts_api.search import search

    for _, group in itertools.groupby(sorted(all_queries, key=lambda query: query.kind), lambda query: query.kind):
        query = max(group, key=lambda query: query.shares[0])
        _, clock = timed(partial(search(query.text), EVERYTHING, False, PAGE))
        explained = []
        with connection.cursor() as cursor:
            for sql, params in clock.statements:
                cursor.execute(f"EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) {sql}", params)
                explained.append([line for (line,) in cursor.fetchall()])
        yield query, explained


def plan_table(explained: list[tuple[Query, list[list[str]]]]) -> str:
    """Return a Markdown table with the scan type and the time in ms of each statement."""
    lines = ["| | query | statements |", "| --- | --- | --- |"]
    for query, statements in explained:
        steps = []
        for plan in statements:
            scan = re.sub(
                r".*-> +| \(.*| on thoughts_api_thought.*", "", [line for line in plan if " Scan " in line][-1]
            )
            steps.append(f"{scan.strip()} {plan[-1].split()[-2]}")
        text = query.text.replace("|", "\\|")
        lines.append(f"| {query.kind} | `{text}` | {'; '.join(steps)} |")
    return "\n".join(lines)


def table(all_queries: list[Query]) -> str:
    """Return a Markdown table with the shares of each kind of query."""
    kinds: dict[str, list[Query]] = {}
    for query in all_queries:
        kinds.setdefault(query.kind, []).append(query)
    lines = [
        f"| {'':<42} | queries | median | 99 % | 99.9 % | worst | worst deep page |",
        f"| {'-' * 42} | ------: | -----: | ---: | -----: | ----: | --------------: |",
    ]
    for kind, group in [*kinds.items(), ("**all**", all_queries)]:
        shares = sorted(share for query in group for share in query.shares)
        p99, p999 = (shares[min(len(shares) - 1, int(len(shares) * part))] for part in (0.99, 0.999))
        deep = max(query.shares[-1] for query in group)
        figures = f"{statistics.median(shares):.2%} | {p99:.1%} | {p999:.1%} | {shares[-1]:.1%} | {deep:.1%}"
        lines.append(f"| {kind:<42} | {len(group):>7} | {figures} |")
    return "\n".join(lines)


def run(rows: int, count: int, authorization: str, explain: bool = False) -> str:
    """Run all measurements, and return the tables as Markdown."""
    from thoughts_api.models import Thought

    random = Random(1)
    ways = writers(authorization)
    call_command("migrate", "thoughts_api", "0001", verbosity=0)
    loading = used(partial(load, rows))
    before = {way: creating(write) for way, write in ways.items()}
    building = used(index)
    migrating = used(partial(call_command, "migrate", verbosity=0))
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_relation_size('thought_by_piece') / 1e6, pg_table_size('thoughts_api_thought') / 1e6")
        index_size, table_size = cursor.fetchone()
    after = {way: creating(write) for way, write in ways.items()}
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE thoughts_api_thought")

    stored = list(Thought.objects.order_by("id").values_list("id", "folded"))
    folded = [text for _, text in stored]
    corpus = Corpus([number for number, _ in stored], folded)
    all_queries = queries(random, folded, corpus, count)
    scan, parallel = measure(all_queries, corpus, random)
    explained = list(plans(all_queries))
    if explain:
        for query, statements in explained:
            print(f"{query.kind}: {query.text!r}")
            print("\n".join(f"    {line}" for plan in statements for line in plan))
    each = statistics.median(share for query in all_queries for share in query.shares) * scan * 1000
    others = " and ".join(f"{milliseconds:.2f} ms for {name}" for name, milliseconds in reading().items())
    created = "\n".join(
        f"| creating a thought, {way}{index} | {cpu * 1e6:.0f} µs | {wall * 1e6:.0f} µs |"
        for way in ways
        for index, (cpu, wall) in {"": before[way], ", with the index": after[way]}.items()
    )
    return f"""{table(all_queries)}

The full scan took {scan * 1000:.0f} ms of CPU. With parallel workers, it took {parallel * 1000:.0f} ms of wall time.
Every query returned the same thoughts as a full scan.

The median query takes {each:.1f} ms of CPU. For comparison, other reads take {others}.

The next table shows the slowest query of each kind. The last column has an entry for each statement that reads the
query's first page of results. The entry shows how PostgreSQL scanned the rows, and the execution time in milliseconds
(EXPLAIN ANALYZE):

{plan_table(explained)}

| {rows:,} thoughts | | |
| --- | ---: | ---: |
| size of the search index and of the table | {index_size:.0f} MB | {table_size:.0f} MB |
| | **CPU** | **wall time** |
| generating the texts and loading them with COPY | {loading[0]:.0f} s | {loading[1]:.0f} s |
| building the search index | {building[0]:.0f} s | {building[1]:.0f} s |
| building it `CONCURRENTLY`, as the migration does | {migrating[0]:.0f} s | {migrating[1]:.0f} s |
{created}
"""


def main() -> None:
    """Print the tables. For a quick test, use fewer rows and queries."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument(
        "--queries",
        type=int,
        default=2_000,
        help="number of substrings to search for; other kinds of queries are added",
    )
    parser.add_argument("--explain", action="store_true", help="print the full plans of the slowest query of each kind")
    arguments = parser.parse_args()
    # Without the default options (postgres.FAST), the server writes its data durably, as in production.
    with tempfile.TemporaryDirectory() as folder, postgres.server(options="") as url:
        (authorization,) = authorizations(Path(folder), "bench")
        os.environ |= UNLIMITED | {
            "DATABASE_URL": url,
            "TOKENS_JWKS": f"{folder}/jwks.json",
            "STATIC_HASHED": "false",
            "DJANGO_SETTINGS_MODULE": "thoughts_api.settings",
        }
        django.setup()
        try:
            print(run(arguments.rows, arguments.queries, authorization, arguments.explain), flush=True)
        finally:
            connection.close()
        print(latency.report(url, arguments.rows, Path(folder)))


if __name__ == "__main__":
    main()
