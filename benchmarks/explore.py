"""How quickly the explore page gets its map, its notes and its morphs.

    python benchmarks/explore.py [--seconds 20]

The real command is started as users start it; players are connections of one light client on the
same machine. Every note is one that nobody asked for before, unless it says "cached".
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
PACE = 5.0  # notes a second of a player who does not play flat out
KEYS = range(36, 97)
LAYERS = (40, 80, 120)  # MIDI velocities that the page asks for
SEED = 3
MORPHS = 40
STARTS = 3


@dataclass
class Player:
    """One connection that is kept open.

    Attributes:
        host: of the server.
        port: of the server.
        took: s, of each request.
    """

    host: str
    port: int
    took: list[float] = field(default_factory=list)

    async def __aenter__(self) -> Player:
        self._reader, self._writer = await asyncio.open_connection(self.host, self.port)
        return self

    async def __aexit__(self, *exception: object) -> None:
        self._writer.close()

    async def ask(self, path: str, body: object = None, method: str = "") -> bytes:
        """GET, or POST JSON, if no other method is given; the answer's body."""
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
        answer = await self._reader.readexactly(length)
        self.took.append(time.perf_counter() - start)
        if status not in (200, 202):
            raise RuntimeError(f"{path}: {status} {answer[:200]!r}")
        return answer


class Started:
    """A server that was started anew.

    Attributes:
        host: of it.
        port: of it.
        seconds: from its start until it told its address.
    """

    def __enter__(self) -> Started:
        self._data = tempfile.TemporaryDirectory()
        command = [sys.executable, "-m", "mechanical_ears.cli", "explore", "--no-browser"]
        self.begun = time.perf_counter()
        self._process = subprocess.Popen(
            [*command, "--port", "0", "--data", self._data.name],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self._process.stdout is not None
        address = urlsplit(self._process.stdout.readline().split()[2])
        self.seconds = time.perf_counter() - self.begun
        self.host, self.port = address.hostname or "", address.port or 0
        return self

    def __exit__(self, *exception: object) -> None:
        self._process.send_signal(signal.SIGINT)
        self._process.communicate()
        self._data.cleanup()

    def cpu(self) -> tuple[float, float]:
        """CPU time that the server has used, and its workers, s."""
        own = Path(f"/proc/{self._process.pid}")
        children = {pid for each in own.glob("task/*/children") for pid in each.read_text().split()}
        return _cpu(own), sum(_cpu(Path(f"/proc/{pid}")) for pid in children)

    def player(self) -> Player:
        """Another connection."""
        return Player(self.host, self.port)


def _cpu(process: Path) -> float:
    told = (process / "stat").read_text().rpartition(")")[2].split()
    return (int(told[11]) + int(told[12])) / os.sysconf("SC_CLK_TCK")


def notes_of(ids: list[str]) -> Iterator[str]:
    """Paths of notes, none twice, instruments and keys in no order."""
    chance = random.Random(SEED)
    every = list(itertools.product(ids, KEYS, LAYERS))
    for name, key, layer in chance.sample(every, len(every)):
        yield f"/api/instruments/{name}/notes/{key}/{layer}"


async def starts() -> tuple[float, float, float]:
    """Seconds from the start to the address, the map, and the first note; medians."""
    figures = []
    for _ in range(STARTS):
        with Started() as server:
            async with server.player() as player:
                await player.ask("/")
                space = json.loads(await player.ask("/api/space"))
                mapped = time.perf_counter() - server.begun
                await player.ask(f"/api/instruments/{space['id'][0]}/notes/60/80")
                figures.append((server.seconds, mapped, time.perf_counter() - server.begun))
    address, mapped, first = (statistics.median(each) for each in zip(*figures, strict=True))
    return address, mapped, first


async def flat_out(
    server: Started, paths: Iterator[str], count: int, seconds: float
) -> list[float]:
    """Players who ask for the next note as soon as they have one; s of each note."""
    end = time.perf_counter() + seconds

    async def play(player: Player) -> None:
        async with player:
            for path in paths:
                if time.perf_counter() > end:
                    return
                await player.ask(path)

    return await _played(server, count, play)


async def paced(server: Started, paths: Iterator[str], count: int, seconds: float) -> list[float]:
    """Players who play some notes a second, each in a time of its own; s of each note."""
    chance = random.Random(SEED)

    async def play(player: Player) -> None:
        async with player:
            await asyncio.sleep(chance.random() / PACE)
            begun = time.perf_counter()
            for number in range(round(seconds * PACE)):
                await asyncio.sleep(max(0.0, begun + number / PACE - time.perf_counter()))
                await player.ask(next(paths))

    return await _played(server, count, play)


async def _played(
    server: Started, count: int, play: Callable[[Player], Awaitable[None]]
) -> list[float]:
    players = [server.player() for _ in range(count)]
    await asyncio.gather(*map(play, players))
    return [took for player in players for took in player.took]


async def morphs(server: Started, ids: list[str]) -> tuple[list[float], list[float]]:
    """Seconds until a blend of two is open, and until its first note is there."""
    chance = random.Random(SEED)
    opened, sounding = [], []
    async with server.player() as player:
        for _ in range(MORPHS):
            pair, weight = chance.sample(ids, 2), chance.uniform(0.1, 0.9)
            blend = [{"id": pair[0], "weight": weight}, {"id": pair[1], "weight": 1 - weight}]
            start = time.perf_counter()
            made = json.loads(await player.ask("/api/instruments", {"blend": blend}))
            opened.append(time.perf_counter() - start)
            await player.ask(f"/api/instruments/{made['id']}/notes/60/80")
            sounding.append(time.perf_counter() - start)
    return opened, sounding


def row(what: str, took: list[float], seconds: float | None = None) -> list[object]:
    """A row of the table."""
    rate = "–" if seconds is None else f"{len(took) / seconds:.0f}"
    p50, p95 = (1000 * each for each in (statistics.median(took), quantile(took, 0.95)))
    return [what, len(took), rate, f"{p50:.0f}", f"{p95:.0f}", f"{1000 * max(took):.0f}"]


def quantile(values: list[float], share: float) -> float:
    """The value that so great a share does not pass."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


async def measure(seconds: float) -> str:
    """All of it; the section's text."""
    load = os.getloadavg()[0]
    address, mapped, first = await starts()
    with Started() as server:
        async with server.player() as player:
            ids = json.loads(await player.ask("/api/space"))["id"]
            paths = notes_of(ids)
            for _ in range(20):
                await player.ask(next(paths))  # all workers are there
        one = await flat_out(server, paths, 1, seconds / 2)
        used = server.cpu()
        many = await flat_out(server, paths, PLAYERS, seconds)
        own, workers = (
            1000 * (after - before) / len(many)
            for before, after in zip(used, server.cpu(), strict=True)
        )
        slower = await paced(server, paths, PLAYERS, seconds)
        async with server.player() as player:
            wish = {"id": ids[0], "format": "sf2", "every": 1, "layers": 8, "seconds": 10}
            job = json.loads(await player.ask("/api/exports", wish))["job"]
        beside = await paced(server, paths, PLAYERS, seconds)
        async with server.player() as player:
            state = json.loads(await player.ask(f"/api/exports/{job}"))["state"]
            await player.ask(f"/api/exports/{job}", method="DELETE")
            if state != "running":
                raise RuntimeError(f"the export is {state}, not beside the notes")
        again = notes_of(ids)
        for _ in range(20 + len(one) + len(many) + len(slower) + len(beside) - 200):
            next(again)
        cached = await flat_out(server, itertools.islice(again, 190), 1, 0.25)
        opened, sounding = await morphs(server, ids)
    header = ["", "requests", "a second", "p50 ms", "p95 ms", "longest ms"]
    table = markdown_table(
        header,
        [
            row("one player, flat out", one, seconds / 2),
            row(f"{PLAYERS} players, flat out", many, seconds),
            row(f"{PLAYERS} players, {PACE:g} notes a second each", slower, seconds),
            row("the same beside a long export", beside, seconds),
            row("a cached note", cached),
            row("a morph of two is open", opened),
            row("a morph of two and its first note", sounding),
        ],
    )
    return (
        f"A note is 4 s at 48 kHz, 16 bit. Server, workers and players share the {os.cpu_count()} "
        f"cores with other work (load {load:.1f} before, {os.getloadavg()[0]:.1f} after). "
        f"{len(ids):,} instruments on the map, keys {KEYS[0]}–{KEYS[-1]}, velocities "
        f"{', '.join(map(str, LAYERS))}.\n\n{table}\n\n"
        f"CPU time of a note, flat out: {workers:.1f} ms in the workers, {own:.1f} ms in the "
        f"server: {1000 / (workers + own):.0f} notes a second for each core they have.\n\n"
        f"From the start of the command (median of {STARTS}): {address:.1f} s to its address, "
        f"{mapped:.1f} s until page and map are there, {first:.1f} s until the first note."
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
