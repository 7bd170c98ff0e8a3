"""Response times of the explore server: map, notes and morphs.

    python benchmarks/explore.py [--seconds 20]

The server is started by the real command; players are connections of one light client on the same
machine. Every note is requested for the first time, unless the row says "cached".
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from harness import markdown_table, write_section

COMMAND = "python benchmarks/explore.py"
PLAYERS = 8
NOTES_PER_SECOND = 5.0  # of a player at a limited rate
KEYS = range(36, 97)
LAYERS = (40, 80, 120)  # MIDI velocities that the page requests
SEED = 3
MORPHS = 40
STARTS = 3


@dataclass
class Player:
    """One open connection.

    Attributes:
        host: of the server.
        port: of the server.
        durations: s, of each request.
    """

    host: str
    port: int
    durations: list[float] = field(default_factory=list)

    async def __aenter__(self) -> Player:
        self._reader, self._writer = await asyncio.open_connection(self.host, self.port)
        return self

    async def __aexit__(self, *exception: object) -> None:
        self._writer.close()

    async def request(self, path: str, body: object = None, method: str = "") -> bytes:
        """Send a request (by default GET, or POST with a body) and return the response's body."""
        data = b"" if body is None else json.dumps(body).encode()
        start = time.perf_counter()
        self._writer.write(
            f"{method or ('GET' if body is None else 'POST')} {path} HTTP/1.1\r\n"
            f"Host: {self.host}:{self.port}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(data)}\r\n\r\n".encode()
            + data
        )
        head = await self._reader.readuntil(b"\r\n\r\n")
        status = int(head.split(b" ", 2)[1])
        length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
        response = await self._reader.readexactly(length)
        self.durations.append(time.perf_counter() - start)
        if status not in (200, 202):
            raise RuntimeError(f"{path}: {status} {response[:200]!r}")
        return response


class StartedServer:
    """A server that has just been started.

    Attributes:
        host: of its address.
        port: of its address.
        seconds: s from its start until it printed its address.
    """

    def __enter__(self) -> StartedServer:
        self._data = tempfile.TemporaryDirectory()
        command = [sys.executable, "-m", "mechanical_ears.cli", "explore", "--no-browser"]
        self.started = time.perf_counter()
        self._process = subprocess.Popen(
            [*command, "--port", "0", "--data", self._data.name],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self._process.stdout is not None
        address = urlsplit(self._process.stdout.readline().split()[2])
        self.seconds = time.perf_counter() - self.started
        self.host, self.port = address.hostname or "", address.port or 0
        return self

    def __exit__(self, *exception: object) -> None:
        self._process.send_signal(signal.SIGINT)
        self._process.communicate()
        self._data.cleanup()

    def cpu(self) -> tuple[float, float]:
        """CPU time of the server and of its workers, s."""
        main = Path(f"/proc/{self._process.pid}")
        children = {
            pid for each in main.glob("task/*/children") for pid in each.read_text().split()
        }
        return _cpu(main), sum(_cpu(Path(f"/proc/{pid}")) for pid in children)

    def player(self) -> Player:
        """A new connection."""
        return Player(self.host, self.port)


def _cpu(process: Path) -> float:
    fields = (process / "stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def note_paths(ids: list[str]) -> Iterator[str]:
    """Paths of notes in random order, each once."""
    rng = random.Random(SEED)
    notes = list(itertools.product(ids, KEYS, LAYERS))
    for id, key, layer in rng.sample(notes, len(notes)):
        yield f"/api/instruments/{id}/notes/{key}/{layer}"


async def start_times() -> tuple[float, float, float]:
    """Median seconds from the start to the address, the map, and the first note."""
    times = []
    for _ in range(STARTS):
        with StartedServer() as server:
            async with server.player() as player:
                await player.request("/")
                space = json.loads(await player.request("/api/space"))
                map_time = time.perf_counter() - server.started
                await player.request(f"/api/instruments/{space['id'][0]}/notes/60/80")
                times.append((server.seconds, map_time, time.perf_counter() - server.started))
    address, map_time, note = (statistics.median(each) for each in zip(*times, strict=True))
    return address, map_time, note


async def at_full_rate(
    server: StartedServer, paths: Iterator[str], count: int, seconds: float
) -> list[float]:
    """Seconds of each note for players who request the next note as soon as they have one."""
    end = time.perf_counter() + seconds

    async def play(player: Player) -> None:
        async with player:
            for path in paths:
                if time.perf_counter() > end:
                    return
                await player.request(path)

    return await _run_players(server, count, play)


async def at_limited_rate(
    server: StartedServer, paths: Iterator[str], count: int, seconds: float
) -> list[float]:
    """Seconds of each note for players who request some notes a second, out of step."""
    rng = random.Random(SEED)

    async def play(player: Player) -> None:
        async with player:
            await asyncio.sleep(rng.random() / NOTES_PER_SECOND)
            start = time.perf_counter()
            for number in range(round(seconds * NOTES_PER_SECOND)):
                await asyncio.sleep(
                    max(0.0, start + number / NOTES_PER_SECOND - time.perf_counter())
                )
                await player.request(next(paths))

    return await _run_players(server, count, play)


async def _run_players(
    server: StartedServer, count: int, play: Callable[[Player], Awaitable[None]]
) -> list[float]:
    players = [server.player() for _ in range(count)]
    await asyncio.gather(*map(play, players))
    return [duration for player in players for duration in player.durations]


async def morphs(server: StartedServer, ids: list[str]) -> tuple[list[float], list[float]]:
    """Seconds until a blend of two is open, and until its first note is rendered."""
    rng = random.Random(SEED)
    open_times, note_times = [], []
    async with server.player() as player:
        for _ in range(MORPHS):
            pair, weight = rng.sample(ids, 2), rng.uniform(0.1, 0.9)
            blend = [{"id": pair[0], "weight": weight}, {"id": pair[1], "weight": 1 - weight}]
            start = time.perf_counter()
            instrument = json.loads(await player.request("/api/instruments", {"blend": blend}))
            open_times.append(time.perf_counter() - start)
            await player.request(f"/api/instruments/{instrument['id']}/notes/60/80")
            note_times.append(time.perf_counter() - start)
    return open_times, note_times


def row(title: str, durations: list[float], seconds: float | None = None) -> list[object]:
    """A row of the table."""
    count = len(durations)
    rate = "–" if seconds is None else f"{count / seconds:.0f}"
    p50, p95 = (1000 * each for each in (statistics.median(durations), quantile(durations, 0.95)))
    return [title, count, rate, f"{p50:.0f}", f"{p95:.0f}", f"{1000 * max(durations):.0f}"]


def quantile(values: list[float], fraction: float) -> float:
    """The smallest value that at most this fraction of the values is below."""
    return sorted(values)[min(len(values) - 1, int(fraction * len(values)))]


async def measure(seconds: float) -> str:
    """Run all measurements and return the section's text."""
    load = os.getloadavg()[0]
    address_time, map_time, note_time = await start_times()
    with StartedServer() as server:
        async with server.player() as player:
            ids = json.loads(await player.request("/api/space"))["id"]
            paths = note_paths(ids)
            for _ in range(20):
                await player.request(next(paths))  # until all workers have started
        one_player = await at_full_rate(server, paths, 1, seconds / 2)
        cpu_before = server.cpu()
        many_players = await at_full_rate(server, paths, PLAYERS, seconds)
        server_ms, workers_ms = (
            1000 * (after - before) / len(many_players)
            for before, after in zip(cpu_before, server.cpu(), strict=True)
        )
        limited = await at_limited_rate(server, paths, PLAYERS, seconds)
        async with server.player() as player:
            options = {"id": ids[0], "format": "sf2", "every": 1, "layers": 8, "seconds": 10}
            job = json.loads(await player.request("/api/exports", options))["job"]
        during_export = await at_limited_rate(server, paths, PLAYERS, seconds)
        async with server.player() as player:
            state = json.loads(await player.request(f"/api/exports/{job}"))["state"]
            await player.request(f"/api/exports/{job}", method="DELETE")
            if state != "running":
                raise RuntimeError(f"the export is {state}, not running during the notes")
        same_paths = note_paths(ids)
        requested = 20 + len(one_player) + len(many_players) + len(limited) + len(during_export)
        for _ in range(requested - 200):  # the last 200 notes are cached
            next(same_paths)
        cached = await at_full_rate(server, itertools.islice(same_paths, 190), 1, 0.25)
        open_times, note_times = await morphs(server, ids)
    header = ["", "requests", "a second", "p50 ms", "p95 ms", "longest ms"]
    table = markdown_table(
        header,
        [
            row("one player at full rate", one_player, seconds / 2),
            row(f"{PLAYERS} players at full rate", many_players, seconds),
            row(f"{PLAYERS} players, {NOTES_PER_SECOND:g} notes a second each", limited, seconds),
            row("the same during a long export", during_export, seconds),
            row("a cached note", cached),
            row("opening a morph of two", open_times),
            row("opening a morph of two and its first note", note_times),
        ],
    )
    return (
        f"A note is 4 s at 48 kHz, 16 bit. Server, workers and players share the {os.cpu_count()} "
        f"cores with other work (load {load:.1f} before, {os.getloadavg()[0]:.1f} after). "
        f"{len(ids):,} instruments on the map, keys {KEYS[0]}–{KEYS[-1]}, velocities "
        f"{', '.join(map(str, LAYERS))}.\n\n{table}\n\n"
        f"CPU time of a note at full rate: {workers_ms:.1f} ms in the workers, {server_ms:.1f} ms "
        f"in the server: {1000 / (workers_ms + server_ms):.0f} notes a second per core.\n\n"
        f"From the start of the command (median of {STARTS}): {address_time:.1f} s to its address, "
        f"{map_time:.1f} s to the page and the map, {note_time:.1f} s to the first note."
    )


def main() -> None:
    """Measure and write the section."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20, help="of each measurement")
    options = parser.parse_args()
    body = asyncio.run(measure(options.seconds))
    write_section("explore", "The explore page's server", COMMAND, body)


if __name__ == "__main__":
    main()
