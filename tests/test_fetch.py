"""The fetcher against a web on loopback that does what the open one does; each fault shows that it happened."""

from __future__ import annotations

import asyncio
import errno
import gc
import hashlib
import resource
import signal
import ssl
import subprocess
import sys
import threading
import time
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from ipaddress import ip_address, ip_network
from pathlib import Path

import hostile_web
import psutil
import pytest
import trustme
from hostile_web import Canary, HostileWeb
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from patience import until

from explorer.errors import BuildError, ManifestError, PictureError, RejectReason
from explorer.manifest import Fetch
from indexer.fetch import AddressPolicy, Ahead, FetchedShard, Fetcher, FetchPart, desk
from indexer.fetch import politeness as politeness_module
from indexer.fetch import robots as robots_module
from indexer.fetch.addresses import Address
from indexer.fetch.links import target
from indexer.fetch.politeness import LONGEST_WAIT, PATIENCE, UNSAID_WAIT, Hosts, retry_after
from indexer.fetch.resolver import Resolver
from indexer.fetch.robots import MOST_BYTES, Shelf, opt_out
from indexer.fetch.spool import Fetched, Spool, read
from indexer.sources.base import Fault, Link, SourceRow

WORLD = ip_network("127.1.0.0/16")
"""What plays the public internet; the rest of 127.0.0.0/8 is private here as everywhere."""
MEGABYTE = 1024 * 1024

Got = Mapping[str, bytes | RejectReason]


def is_world(address: Address) -> bool:
    return address.version == 4 and address in WORLD


def policy_for(*ports: int, networks: Sequence[str] = (), allowed: Sequence[int] = ()) -> AddressPolicy:
    """The shipped policy, with a part of loopback in the role of the public internet."""
    return replace(AddressPolicy.of(networks, allowed), is_public=is_world, web_ports=frozenset(ports))


def rows_of(links: Sequence[str]) -> list[SourceRow]:
    return [SourceRow(key=f"{number} {link}"[:200], link=Link(link)) for number, link in enumerate(links)]


def outcome(shard: FetchedShard, row: SourceRow) -> bytes | RejectReason:
    try:
        return shard.read(row)
    except PictureError as error:
        return error.reason


@dataclass
class Bench:
    """A fetcher's surroundings, and a short way to ask it for links."""

    folder: Path
    web: HostileWeb
    fetch: Fetch = Fetch(contact="tests@example.org", timeout=20.0, max_bytes=3_000_000)

    def fetcher(self, policy: AddressPolicy | None = None, /, **others: object) -> Fetcher:
        names = {name: value for name, value in others.items() if name in Fetch.__slots__}
        rest = {name: value for name, value in others.items() if name not in names}
        return Fetcher(replace(self.fetch, **names), policy or policy_for(self.web.port), self.folder, **rest)

    def get(self, *links: str, policy: AddressPolicy | None = None, **others: object) -> list[bytes | RejectReason]:
        """What became of links, in their order; the row says so exactly once."""
        rows = rows_of(links)
        with self.fetcher(policy, **others) as fetcher:
            (shard,) = fetcher.shards([FetchPart("part", rows)])
            got = [outcome(shard, row) for row in rows]
            shard.discard()
        return got


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with HostileWeb() as web:
        yield Bench(tmp_path / "fetch", web)


# the good web


def test_pictures_come_as_they_are(bench: Bench) -> None:
    """Every byte of every picture arrives, from many hosts at once, asked for plainly and under one honest name."""
    pictures = [hostile_web.picture(number)[1] for number in range(60)]
    assert bench.get(*(bench.web.url(f"picture/{number}", host=number) for number in range(60))) == pictures
    for hit in bench.web.hits:
        assert hit.headers["user-agent"].startswith("latent-explorer/")
        assert hit.headers["user-agent"].endswith(" (+tests@example.org)")
        assert hit.headers["accept-encoding"] == "identity"
        assert "cookie" not in hit.headers
        assert "authorization" not in hit.headers


def test_user_and_password_of_a_link_are_not_sent(bench: Bench) -> None:
    """A link with a user in it fetches the picture and tells the host nothing of the user."""
    link = bench.web.url("picture/1").replace("http://", "http://user:secret@")
    assert bench.get(link) == [hostile_web.picture(1)[1]]
    assert all("authorization" not in hit.headers and "secret" not in str(hit) for hit in bench.web.hits)


def test_a_shard_says_when_it_was_fetched(bench: Bench) -> None:
    """The time is UTC to the second, for pictures alone."""
    rows = rows_of([bench.web.url("picture/1"), bench.web.url("status/404")])
    with bench.fetcher() as fetcher:
        (shard,) = fetcher.shards([FetchPart("part", rows)])
        at = shard.fetched_at(rows[0])
        assert at is not None
        assert timedelta(0) <= datetime.now(UTC) - datetime.fromisoformat(at) < timedelta(minutes=1)
        assert shard.fetched_at(rows[1]) is None


def test_whoever_wants_to_know_is_told_of_each_picture_as_it_arrives(bench: Bench) -> None:
    """Every picture's bytes are told once, long before a slow link lets the shard be whole; what is none is not."""
    bench.web.robots[""] = 404
    quick = [bench.web.url(f"picture/{number}", host=number) for number in range(2, 8)]
    links = [bench.web.url("lasting/3/1", host=1), *quick, quick[0], bench.web.url("status/404", host=9)]
    told: list[tuple[float, bytes]] = []
    again: list[Callable[[], bytes]] = []

    def arrived(data: bytes, reader: Callable[[], bytes]) -> None:
        told.append((time.monotonic(), data))
        assert reader() == data
        again.append(reader)

    with bench.fetcher(arrived=arrived) as fetcher:
        (shard,) = fetcher.shards([FetchPart("part", rows_of(links))])
        whole = time.monotonic()
        read = [outcome(shard, row) for row in shard.part.rows[:-1]]
        assert [reader() for reader in again] == [data for _, data in told]
        shard.discard()
        for reader in again:
            with pytest.raises(OSError):
                reader()
    assert sorted(data for _, data in told) == sorted(set(read))
    assert all(whole - at > 1 for at, data in told if data != read[0])


def test_shards_come_in_order_and_rows_without_a_link_are_let_alone(bench: Bench) -> None:
    """A slow shard holds up those behind it, and every shard is whole when it comes."""
    bench.web.robots[""] = 404
    parts = [
        FetchPart("slow", rows_of([bench.web.url("lasting/0.5/1", host=1)])),
        FetchPart("quick", rows_of([bench.web.url("picture/2", host=2)])),
        FetchPart("none", [SourceRow("local"), SourceRow("bad", link=Link("http://x"), fault=Fault("bad-row", ""))]),
        FetchPart("last", rows_of([bench.web.url("picture/3", host=3)])),
    ]
    with bench.fetcher() as fetcher:
        names = []
        for shard in fetcher.shards(parts):
            names.append(shard.part.name)
            assert all(shard.read(row) for row in shard.part.rows if row.link and not row.fault)
            shard.discard()
    assert names == ["slow", "quick", "none", "last"]


# who asks


@pytest.mark.parametrize("contact", [None, "", "  "])
def test_nobody_fetches_without_a_name(tmp_path: Path, contact: str | None) -> None:
    """Without a contact nothing is asked for, and the line names the key and the option."""
    with pytest.raises(ManifestError, match=r"fetch\.contact.*--contact"):
        Fetcher(Fetch(contact=contact), AddressPolicy(), tmp_path)


@pytest.mark.parametrize("contact", ["a@b\r\nX-Evil: 1", "(x)", "bücher@x.org", "a\\b"])
def test_a_contact_cannot_forge_headers(tmp_path: Path, contact: str) -> None:
    """What would not fit into a comment of a header is refused."""
    with pytest.raises(ManifestError, match=r"fetch\.contact: found"):
        Fetcher(Fetch(contact=contact), AddressPolicy(), tmp_path)


# where it may go (THREATS 1-5)


def test_no_private_address_is_ever_opened(bench: Bench) -> None:
    """Whatever way a link or a redirect spells it, the canary has no hit; and it would have one, were it asked."""
    with Canary() as canary, Canary("::1") as canary6:
        spelled = ["127.0.0.1", "2130706433", "0x7f.1", "0177.0.0.1", "127.1", "[::ffff:7f00:1]", "localhost", "①②⑦.1"]
        spelled += ["[64:ff9b::7f00:1]", "[2002:7f00:1::]", "user@127.0.0.1", "localhost.", "0"]
        links = [f"http://{host}:{canary.port}/x" for host in spelled] + [f"http://[::1]:{canary6.port}/x"]
        policy = policy_for(bench.web.port, canary.port, canary6.port)
        redirects = [bench.web.url(f"to?{link}", host=number) for number, link in enumerate(links)]
        got = bench.get(*links, *redirects, policy=policy)
        assert Counter(got) == {RejectReason.ADDRESS: len(links + redirects)}
        assert len(bench.web.asked("to")) == len(redirects)
        assert (canary.hits, canary6.hits) == (0, 0)
        bench.get(links[0], policy=replace(policy, is_public=lambda address: True))
        assert canary.hits > 0  # the guard taken out, the same link reaches it


def test_odd_ports_are_not_opened(bench: Bench) -> None:
    """A port that nobody opened is refused on a link and on a redirect, and nothing connects to it."""
    with Canary("127.1.0.9") as canary:
        link = f"http://127.1.0.9:{canary.port}/x"
        assert bench.get(link, bench.web.url(f"to?{link}")) == [RejectReason.ADDRESS] * 2
        assert canary.hits == 0
        bench.get(link, policy=policy_for(bench.web.port, allowed=[canary.port]))
        assert canary.hits > 0


def test_the_socket_asks_once_more(bench: Bench) -> None:
    """Where the policy has let an address pass and then does not any more, nothing connects to it."""
    asked: list[Address] = []

    def is_public_at_first(address: Address) -> bool:
        asked.append(address)
        return len(asked) == 1

    with Canary() as canary:
        policy = replace(policy_for(canary.port), is_public=is_public_at_first)
        got = bench.get(f"http://127.0.0.1:{canary.port}/x", policy=policy, honor_robots=False)
        assert got == [RejectReason.ADDRESS]
        assert (len(asked), canary.hits) == (2, 0)


def test_no_proxy_of_the_environment_is_asked(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy would look names up itself; the request goes to its host, and the proxy has no hit."""
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with Canary("127.1.0.9") as canary:
        monkeypatch.setenv("http_proxy", f"http://127.1.0.9:{canary.port}")
        got = bench.get(bench.web.url("picture/1"), policy=policy_for(bench.web.port, canary.port))
        assert got == [hostile_web.picture(1)[1]]
        assert canary.hits == 0


def test_other_schemes_are_not_opened(bench: Bench, tmp_path: Path) -> None:
    """A file named by a link or a redirect is never opened: the interpreter's own audit says so."""
    secret = tmp_path / "canary.jpg"
    secret.write_bytes(hostile_web.picture(1)[1])
    links = [f"{scheme}://{secret}" for scheme in ("file", "ftp", "gopher", "pipe", "s3")] + [f"data:,{secret}"]
    opened: list[str] = []
    sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event == "open" else None)
    redirects = [bench.web.url(f"to?{link}", host=number) for number, link in enumerate(links)]
    assert Counter(bench.get(*links, *redirects)) == {RejectReason.SCHEME: 12}
    assert len(bench.web.asked("to")) == 6
    assert any("part.spool" in path for path in opened)
    assert not any("canary.jpg" in path for path in opened)


def test_a_museums_network_is_reached_by_its_links_alone(bench: Bench) -> None:
    """A link of the manifest and a redirect inside the network arrive; the same redirect from outside is refused."""
    policy = policy_for(bench.web.port, networks=["127.2.0.0/16"])
    inside = bench.web.url("picture/1", host="127.2.0.1")
    got = bench.get(
        inside,
        bench.web.url(f"to?{bench.web.url('picture/2', host='127.2.0.2')}", host="127.2.0.3"),
        bench.web.url(f"to?{bench.web.url('picture/3', host='127.2.0.4')}", host=5),
        bench.web.url("picture/1", host="127.3.0.1"),
        policy=policy,
    )
    assert got[:2] == [hostile_web.picture(1)[1], hostile_web.picture(2)[1]]
    assert got[2:] == [RejectReason.ADDRESS, RejectReason.ADDRESS]
    assert not bench.web.asked("picture/3")
    assert bench.get(inside) == [RejectReason.ADDRESS]


class Names:
    """A name server that says what it is told to, and counts."""

    def __init__(self, answers: Mapping[str, Sequence[Sequence[str]]]) -> None:
        self.answers, self.asked = answers, Counter[str]()

    async def __call__(self, host: str) -> tuple[str, ...]:
        await asyncio.sleep(0)
        said = self.answers[host]
        self.asked[host] += 1
        if not said:
            raise OSError(-2, "Name or service not known")
        return tuple(said[min(self.asked[host], len(said)) - 1])


def test_a_name_that_turns_bad_keeps_its_first_address(bench: Bench) -> None:
    """A name is looked up once, and every connection goes to the address that was judged (DNS rebinding)."""
    names = Names({"rebind.test": [["127.1.0.7"], ["127.0.0.1"]]})
    links = [bench.web.url(f"picture/{number}", host="rebind.test") for number in range(8)]
    assert bench.get(*links, lookup=names) == [hostile_web.picture(number)[1] for number in range(8)]
    assert names.asked["rebind.test"] == 1
    assert {hit.address for hit in bench.web.hits} == {"127.1.0.7"}
    assert {hit.host for hit in bench.web.hits} == {f"rebind.test:{bench.web.port}"}


def test_one_bad_answer_spoils_a_name(bench: Bench) -> None:
    """A name with a public and a private address is refused, in whatever order they come; nothing is asked for."""
    names = Names({"mixed.test": [["127.1.0.7", "127.0.0.1"]], "dexim.test": [["::1", "127.1.0.7"]], "no.test": []})
    got = bench.get(*(bench.web.url("picture/1", host=name) for name in names.answers), lookup=names)
    assert got == [RejectReason.ADDRESS, RejectReason.ADDRESS, RejectReason.DNS]
    assert not bench.web.hits


def test_a_name_that_nobody_knows_has_a_reason(bench: Bench) -> None:
    """The operating system's own look-up fails with the reason `dns`, also for names that are none."""
    assert bench.get("http://nowhere.invalid/x", policy=AddressPolicy()) == [RejectReason.DNS]


def test_the_next_address_is_tried(bench: Bench) -> None:
    """Where a host's first address refuses, its second answers."""
    # Every IPv4 address of loopback answers; IPv6 has no listener.
    names = Names({"two.test": [["::1", "127.1.0.7"]]})
    policy = replace(policy_for(bench.web.port), is_public=lambda address: True)
    assert bench.get(bench.web.url("picture/1", host="two.test"), policy=policy, lookup=names) == [
        hostile_web.picture(1)[1]
    ]
    assert {hit.address for hit in bench.web.hits} == {"127.1.0.7"}


def test_names_are_looked_up_once_at_a_time_and_kept() -> None:
    """A hundred rows of one host ask the name server once, and a failure is kept as well."""
    names = Names({"a.test": [["127.1.0.1"]], "b.test": []})

    async def ask() -> list[object]:
        resolver = Resolver(names)
        goals = [target(f"http://{host}/") for host in ("a.test", "b.test") for _ in range(50)]
        first = await asyncio.gather(*(resolver.addresses(goal) for goal in goals), return_exceptions=True)
        return first + await asyncio.gather(*(resolver.addresses(goal) for goal in goals), return_exceptions=True)

    found = asyncio.run(ask())
    assert names.asked == {"a.test": 1, "b.test": 1}
    assert found.count((ip_address("127.1.0.1"),)) == 100
    assert sum(isinstance(each, PictureError) and each.reason is RejectReason.DNS for each in found) == 100


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


def tls_web(authority: trustme.CA, *names: str) -> HostileWeb:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(context)
    return HostileWeb(tls=context)


def test_tls_keeps_the_name_on_a_pinned_address(tmp_path: Path, authority: trustme.CA) -> None:
    """SNI, Host and the certificate's check are the link's name, though the connection goes to an address."""
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    names = Names({"good.test": [["127.1.0.7"]], "other.test": [["127.1.0.7"]]})
    with tls_web(authority, "good.test") as web:
        bench = Bench(tmp_path / "fetch", web)
        links = [web.url("picture/1", host=name) for name in ("good.test", "other.test")]
        got = bench.get(*links, lookup=names, tls=trusting)
        assert got == [hostile_web.picture(1)[1], RejectReason.TLS]
        assert {(hit.sni, hit.host, hit.address) for hit in web.hits} == {
            ("good.test", f"good.test:{web.port}", "127.1.0.7")
        }
        assert bench.get(links[0], lookup=names) == [RejectReason.TLS]  # whom nobody trusts


# how much and how long (THREATS 6-9)


@pytest.mark.parametrize("how", ["", "chunked", "huge"])
def test_an_endless_body_is_cut_at_the_cap(bench: Bench, how: str) -> None:
    """However its length is given, or not, little more than the cap is sent, and memory stays flat."""
    cap = 2_000_000
    gc.collect()
    tracemalloc.start()
    got = bench.get(bench.web.url(f"endless/{how}"), max_bytes=cap)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert got == [RejectReason.TOO_LARGE]
    (hit,) = bench.web.asked("endless")
    buffers = 8 * MEGABYTE  # of two kernels' sockets on loopback
    assert (0 if how == "huge" else cap) < hit.sent < cap + buffers
    assert peak < 3 * MEGABYTE


def test_a_body_that_announces_too_much_is_not_read(bench: Bench) -> None:
    """What says that it is larger than the cap is given up at its head: far less than the cap is sent."""
    cap = 40 * MEGABYTE
    assert bench.get(bench.web.url("endless/huge"), max_bytes=cap) == [RejectReason.TOO_LARGE]
    (hit,) = bench.web.asked("endless")
    assert hit.sent < 8 * MEGABYTE  # what two kernels' sockets on loopback take in


def test_many_endless_bodies_at_once_keep_to_little_memory(bench: Bench) -> None:
    """What comes in waits on the disk: forty bodies of 3 MB at once take far less than their 120 MB."""
    links = [bench.web.url(f"crowded/40/2500000/all?{number}", host=number) for number in range(40)]
    tracemalloc.start()
    got = bench.get(*links, honor_robots=False)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert got == [RejectReason.TOO_LARGE] * 40
    assert all(hit.sent > bench.fetch.max_bytes for hit in bench.web.asked("crowded"))
    assert peak < 40 * MEGABYTE


@pytest.mark.parametrize("path", ["slow-body", "slow-head", "never"])
def test_a_picture_has_so_many_seconds_in_all(bench: Bench, path: str) -> None:
    """A host that says a byte a second, in the body or already in the head, or nothing, is given up in time."""
    started = time.monotonic()
    assert bench.get(bench.web.url(path), timeout=1.5) == [RejectReason.TIMEOUT]
    assert 1.4 < time.monotonic() - started < 4
    (hit,) = bench.web.asked(path)
    assert hit.sent < 200


def test_a_robots_txt_has_so_many_seconds_too(bench: Bench) -> None:
    """One that never comes, here where it has moved to, is given up in time; until it is read nothing is asked for."""
    bench.web.robots[""] = bench.web.url("never", host=2)
    started = time.monotonic()
    assert bench.get(bench.web.url("picture/1"), timeout=1.5) == [RejectReason.ROBOTS]
    assert 1.4 < time.monotonic() - started < 4
    assert (len(bench.web.asked("never")), bench.web.asked("picture")) == (1, [])


def test_the_seconds_run_on_over_redirects(bench: Bench) -> None:
    """A redirect takes from the same seconds; two slow answers in a row are too many, though neither is by itself."""
    bench.web.robots[""] = 404
    slow = bench.web.url("lasting/2.25/1")
    chain = bench.web.url(f"slow-to/2.25?{slow}", host=2)
    assert bench.get(slow, chain, timeout=4.0) == [hostile_web.picture(1, 64)[1], RejectReason.TIMEOUT]
    assert len(bench.web.asked("slow-to")) == 1
    assert len(bench.web.asked("lasting")) == 2


@pytest.mark.parametrize("coding", ["gzip", "br", "zstd", "deflate", "gzip, gzip", "x-unknown"])
def test_an_encoded_body_is_refused(bench: Bench, coding: str) -> None:
    """Gigabytes of zeros, packed: nothing is unpacked, also behind a redirect; plain ones were asked for."""
    link = bench.web.url(f"encoded/{coding.replace(' ', '%20')}")
    hostile_web.bomb()  # made before memory is watched
    tracemalloc.start()
    got = bench.get(link, bench.web.url(f"to?{link}", host=2))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert got == [RejectReason.ENCODED] * 2
    assert len(bench.web.asked("encoded")) == 2
    assert peak < 4 * MEGABYTE


def test_redirects_end(bench: Bench) -> None:
    """Five are followed, a sixth is not; a loop ends after as many."""
    five, six = bench.web.url("redirect/5/1", host=1), bench.web.url("redirect/6/2", host=2)
    got = bench.get(five, six, bench.web.url("loop", host=3))
    assert got == [hostile_web.picture(1)[1], RejectReason.REDIRECTS, RejectReason.REDIRECTS]
    assert (len(bench.web.asked("redirect/")), len(bench.web.asked("loop"))) == (5 + 6, 6)
    assert not bench.web.asked("picture/2")


# what else comes back


def test_every_other_answer_has_its_reason(bench: Bench) -> None:
    """Whatever a host does, one row is lost with one word for it, and the picture beside it arrives."""
    expected = {
        "picture/1": hostile_web.picture(1)[1],
        "status/404": RejectReason.STATUS,
        "status/410": RejectReason.STATUS,
        "status/204": RejectReason.STATUS,
        "status/206": RejectReason.STATUS,
        "status/302": RejectReason.STATUS,
        "status/500": RejectReason.STATUS,
        "empty": RejectReason.EMPTY,
        "drop": RejectReason.CONNECTION,
        "garbage/1": RejectReason.CONNECTION,
        "short/1": RejectReason.TRUNCATED,
        "to?http://[": RejectReason.REDIRECTS,
        "to?%ff%fe": RejectReason.REDIRECTS,
        "to?//": RejectReason.REDIRECTS,
        "raw?HTTP/1.1%20200%20OK%0D%0AContent-Length:%20-5%0D%0A%0D%0A": RejectReason.CONNECTION,
        "raw?HTTP/1.1%20200%20OK%0D%0A" + "X:%20y%0D%0A" * 500: RejectReason.CONNECTION,
        "wide/20000": RejectReason.CONNECTION,
        "raw?HTTP/1.1%20200%20OK%0D%0ATransfer-Encoding:%20gzip,chunked%0D%0A%0D%0A0%0D%0A%0D%0A": RejectReason.ENCODED,
    }
    links = [bench.web.url(path, host=number) for number, path in enumerate(expected)]
    got = bench.get(*links)
    assert dict(zip(expected, got, strict=True)) == expected
    asked = {hit.path.split("?")[0] for hit in bench.web.hits}
    assert all(f"/{path.split('?')[0]}" in asked for path in expected)
    assert len(bench.web.asked("garbage")) == 1  # a host that does not answer in HTTP is not asked again


@given(st.binary(max_size=400), st.booleans())
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_answer_can_stop_the_fetcher(bench: Bench, noise: bytes, has_head: bool) -> None:
    """Whatever bytes come back cost one row at most."""
    head = b"HTTP/1.1 200 OK\r\n" if has_head else b""
    path = "raw?" + "".join(f"%{byte:02x}" for byte in head + noise)
    bench.web.hits.clear()
    (got,) = bench.get(bench.web.url(path), retries=0)
    assert isinstance(got, bytes | RejectReason)
    assert bench.web.asked("raw")


def test_refused_connections_have_a_reason(bench: Bench) -> None:
    """A port where nobody listens is `connection`."""
    with hostile_web.refused_port() as port:
        policy = policy_for(bench.web.port, port)
        assert bench.get(f"http://127.1.0.1:{port}/x", policy=policy) == [RejectReason.CONNECTION]


def test_a_fault_that_may_pass_is_met_again(bench: Bench) -> None:
    """A cut connection is tried again where the settings say so, and not where they do not.

    The client asks once more by itself: a connection that was kept may have been closed meanwhile (RFC 9112, 9.3.1).
    """
    assert bench.get(bench.web.url("drop-first/2/a")) == [hostile_web.picture(1)[1]]
    assert len(bench.web.asked("drop-first/2/a")) == 3
    assert bench.get(bench.web.url("drop-first/2/b"), retries=0) == [RejectReason.CONNECTION]
    assert len(bench.web.asked("drop-first/2/b")) == 2
    assert bench.get(bench.web.url("status/500"), retries=3) == [RejectReason.STATUS]
    assert len(bench.web.asked("status/500")) == 4


def test_bytes_are_held_against_the_hash_that_the_row_gives(bench: Bench) -> None:
    """A picture that was swapped since is rejected, whatever the algorithm; without a hash, another one is taken."""
    data = hostile_web.picture(1)[1]
    rows = [
        SourceRow(f"{name} {is_right}", link=Link(bench.web.url("picture/1"), digest, name))
        for name in ("md5", "sha1", "sha256")
        for is_right, digest in ((True, hashlib.new(name, data).hexdigest().upper()), (False, "0" * 32))
    ]
    swapped = SourceRow("swapped", link=Link(bench.web.url("picture/2"), "0" * 32, "md5"))
    told: list[bytes] = []
    with bench.fetcher(arrived=lambda data, _: told.append(data)) as fetcher:
        (shard,) = fetcher.shards([FetchPart("part", [*rows, swapped])])
        assert [outcome(shard, row) for row in rows] == [data, RejectReason.MISMATCH] * 3
        assert outcome(shard, swapped) == RejectReason.MISMATCH
    assert len(bench.web.asked("picture/1")) == 1
    assert told == [data]  # nobody begins with what no row takes
    first, second = bench.get(bench.web.url("swap/a")), bench.get(bench.web.url("swap/a"))
    assert first != second


# manners (THREATS 8, 21, 22)


@pytest.mark.parametrize("word", ["noai", "noimageai", "noindex", "noimageindex", "noml", "none", "NoAI"])
@pytest.mark.parametrize(
    "form", ["{}", "max-snippet:5,{}", "other: noodp&{}", "latent-explorer: {}", "*: nofollow, {}"]
)
def test_opt_outs_are_honored(bench: Bench, word: str, form: str) -> None:
    """Each word counts, alone, among others, in a second header, addressed to us or to all; the body is not kept."""
    query = form.format(word)
    link = bench.web.url("tagged/1?" + query.replace(" ", "%20").replace(",", "%2C"))
    assert bench.get(link) == [RejectReason.OPTED_OUT]
    assert len(bench.web.asked("tagged")) == 1


def test_what_is_no_opt_out_for_us_is_none() -> None:
    """Words for others, words of another meaning, and words inside words leave a picture usable."""
    fine = (
        *("all", "nofollow, nosnippet", "googlebot: noindex", "otherbot: noai, noimageai", "noarchive", "noaix", ""),
        *("unavailable_after: 25 Jun 2030 15:00:00 PST, nofollow", "latent-explorer-2: noai", "max-image-preview:none"),
    )
    assert [opt_out([value]) for value in fine] == [None] * len(fine)
    assert opt_out(["googlebot: noindex", "latent-explorer: noml"]) == "noml"
    assert opt_out(["googlebot: nofollow, latent-explorer: noai"]) == "noai"


def test_an_opt_out_on_the_way_counts(bench: Bench) -> None:
    """A redirect that asks not to be used is not followed; with the setting off, it is."""
    link = bench.web.url("tagged-to/1")
    assert bench.get(link) == [RejectReason.OPTED_OUT]
    assert not bench.web.asked("picture")
    assert bench.get(link, honor_opt_out=False) == [hostile_web.picture(1)[1]]


def test_robots_txt_is_asked_once_and_honored(bench: Bench) -> None:
    """One request for it a host, however many rows; what it forbids is not asked for, also behind a redirect."""
    bench.web.robots[hostile_web.address(3)] = "User-agent: latent-explorer\nDisallow: /\n\nUser-agent: *\nDisallow:\n"
    bench.web.robots[hostile_web.address(4)] = "User-agent: example\nDisallow: /\n"  # nobody that we are
    links = [bench.web.url(f"picture/{number}", host=1) for number in range(20)]
    links += [
        bench.web.url("private/1", host=1),
        bench.web.url("picture/1", host=3),
        bench.web.url("picture/1", host=4),
    ]
    links += [bench.web.url(f"to?{bench.web.url('private/2', host=1)}", host=2)]
    got = bench.get(*links)
    assert sum(isinstance(each, bytes) for each in got) == 21
    assert [got[20], got[21], got[23]] == [RejectReason.ROBOTS] * 3
    assert Counter(hit.address for hit in bench.web.asked("robots.txt")) == {
        hostile_web.address(number): 1 for number in (1, 2, 3, 4)
    }
    assert not bench.web.asked("private")
    assert isinstance(bench.get(links[20], honor_robots=False)[0], bytes)


@pytest.mark.parametrize(
    ("robots", "expected"),
    [
        *((404, bytes), (403, bytes), (503, RejectReason.ROBOTS), (429, RejectReason.ROBOTS), ("http://127.0.0.1/", 0)),
        ("encoded/gzip", RejectReason.ROBOTS),
    ],
)
def test_a_robots_txt_that_cannot_be_read(bench: Bench, robots: int | str, expected: object) -> None:
    """None allows everything; a host that fails to say, packs it, or sends us where we may not go allows nothing."""
    is_path = isinstance(robots, str) and not robots.startswith("http")
    bench.web.robots[""] = bench.web.url(str(robots), host=2) if is_path else robots
    (got,) = bench.get(bench.web.url("picture/1"))
    assert got is (expected or RejectReason.ROBOTS) or (expected is bytes and isinstance(got, bytes))


def test_a_robots_txt_that_has_moved_is_read_there(bench: Bench) -> None:
    """Its redirects are followed as far as those of a picture."""
    bench.web.robots[hostile_web.address(1)] = bench.web.url("robots.txt", host=2)
    assert bench.get(bench.web.url("picture/1"), bench.web.url("private/1")) == [
        hostile_web.picture(1)[1],
        RejectReason.ROBOTS,
    ]


def test_an_endless_robots_txt_is_read_to_its_bound(bench: Bench) -> None:
    """What counts stands in its first half megabyte; no more is read, and parsing it holds up nobody."""
    lines = "".join(f"Disallow: /{number:x}*a*b*c*d*e$\n" for number in range(40_000))
    bench.web.robots[""] = "User-agent: *\n" + lines
    started = time.process_time()
    assert bench.get(bench.web.url("picture/1")) == [hostile_web.picture(1)[1]]
    assert time.process_time() - started < 20
    bench.web.robots[""] = bench.web.url("endless/", host=2)
    assert bench.get(bench.web.url("picture/2")) == [hostile_web.picture(2)[1]]
    (hit,) = bench.web.asked("endless")
    assert MOST_BYTES < hit.sent < MOST_BYTES + 8 * MEGABYTE  # what two kernels' sockets on loopback take in


def test_many_a_robots_txt_takes_little_room() -> None:
    """Two hundred large ones keep to the shelf's bounds; the last used are there, the longest unused are not."""
    text = b"User-agent: *\n" + b"".join(b"Disallow: /%d/*/x\n" % number for number in range(500))
    shelf = Shelf(packed=100_000, read=50_000)
    tracemalloc.start()
    for number in range(200):
        shelf.put(f"http://{number}", text + str(number).encode())
        rules = shelf.get(f"http://{number}")
        assert rules is not None
        assert not rules.can_fetch(f"http://{number}/7/a/x", "latent-explorer")
    gc.collect()  # what was read of one refers to itself
    left, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert 200 * len(text) > 1_500_000
    assert left < 4 * MEGABYTE
    assert shelf.get("http://0") is None
    assert shelf.get("http://199") is not None


def test_few_requests_at_a_time_go_to_one_host(bench: Bench) -> None:
    """Two at a time to each host by default, while many hosts are asked at once."""
    links = [bench.web.url(f"together/2/{number % 5}/{number}", host=number % 5) for number in range(60)]
    assert all(isinstance(each, bytes) for each in bench.get(*links))
    busiest = bench.web.busiest
    assert len(busiest) == 5
    assert set(busiest.values()) == {2}
    more = [bench.web.url(f"together/4/more {number % 5}/{number}", host=number % 5) for number in range(20)]
    assert all(isinstance(each, bytes) for each in bench.get(*more, per_host=4))
    assert max(bench.web.busiest.values()) == 4


def test_what_came_first_is_next_of_all_whose_host_is_free() -> None:
    """One host's many rows neither push in nor hold up others behind them; a link that has moved keeps its place."""

    async def taken() -> list[int]:
        hosts: Hosts[int] = Hosts(per_host=2, delay=0)
        for number, name in enumerate("aaabcab"):
            hosts.put(name, number, number)
        first = [await hosts.take() for _ in range(5)]
        hosts.done("b")
        hosts.done("a")
        hosts.put("c", 7, 0)  # where the first link has moved
        return first + [await hosts.take() for _ in range(2)]

    assert asyncio.run(taken()) == [0, 1, 3, 4, 6, 7, 2]


def test_garbage_is_looked_for_rarely_while_something_is_fetched(bench: Bench) -> None:
    """Cycles cost time for all that lives; when it is over, Python has the thresholds that it had before."""
    before = gc.get_threshold()
    with bench.fetcher() as fetcher:
        (shard,) = fetcher.shards([FetchPart("part", rows_of([bench.web.url("picture/1")]))])
        assert gc.get_threshold() == (50_000, *before[1:])
        assert isinstance(outcome(shard, shard.part.rows[0]), bytes)
    assert gc.get_threshold() == before


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[float]]:
    """Host -> when each request to it stood in line for its turn, seconds of the monotonic clock."""
    times: dict[str, list[float]] = {}
    turn = Hosts.turn

    async def noted(hosts: Hosts[object], name: str, delay: float = 0.0) -> None:
        times.setdefault(name, []).append(time.monotonic())
        await turn(hosts, name, delay)

    monkeypatch.setattr(Hosts, "turn", noted)
    return times


def are_apart(first: float, times: Sequence[float], delay: float) -> bool:
    """Whether requests arrived late enough after the first stood in line, so that no busy machine can hurry them."""
    return all(at - first > number * delay - 0.01 for number, at in enumerate(times))


def test_requests_to_one_host_keep_their_distance(bench: Bench, begun: dict[str, list[float]]) -> None:
    """The delay lies between any two requests to a host, robots.txt included; other hosts do not wait for it."""
    links = [bench.web.url(f"picture/{number}/64", host=number % 2) for number in range(8)]
    started = time.monotonic()
    assert all(isinstance(each, bytes) for each in bench.get(*links, delay=0.2))
    assert time.monotonic() - started < 3
    for host in (0, 1):
        times = sorted(hit.at for hit in bench.web.hits if hit.address == hostile_web.address(host))
        assert len(times) == 5
        assert are_apart(begun[hostile_web.address(host)][0], times, 0.2)


def test_a_crawl_delay_is_honored(bench: Bench, begun: dict[str, list[float]]) -> None:
    """A host that asks for a delay in its robots.txt has it."""
    bench.web.robots[""] = "User-agent: *\nCrawl-delay: 0.3\n"
    bench.get(*(bench.web.url(f"picture/{number}/64") for number in range(3)))
    _, first, *_ = begun[hostile_web.address(1)]  # after its robots.txt
    assert are_apart(first, sorted(hit.at for hit in bench.web.asked("picture")), 0.3)


def test_a_crawl_delay_has_a_bound(
    bench: Bench, begun: dict[str, list[float]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A host that asks for an hour between two requests has the longest delay that is honored."""
    monkeypatch.setattr(robots_module, "MOST_DELAY", 0.3)
    bench.web.robots[""] = "User-agent: *\nCrawl-delay: 3600\n"
    started = time.monotonic()
    bench.get(*(bench.web.url(f"picture/{number}/64") for number in range(3)))
    assert time.monotonic() - started < 5
    _, first, *_ = begun[hostile_web.address(1)]
    assert are_apart(first, sorted(hit.at for hit in bench.web.asked("picture")), 0.3)


@pytest.mark.parametrize("code", [429, 503])
def test_retry_after_is_honored(bench: Bench, code: int) -> None:
    """A busy host is left alone for the seconds that it asks for, with all its rows, and then answers."""
    links = [bench.web.url(f"busy/{code}/1/a"), *(bench.web.url(f"picture/{number}/64") for number in range(3))]
    got = bench.get(*links, per_host=1)
    assert all(isinstance(each, bytes) for each in got)
    first, *_ = busy = bench.web.asked("busy")
    assert len(busy) == 2
    others = [hit.at for hit in bench.web.hits if hit.at > first.at]
    assert min(others) - first.at > 0.95


def test_a_host_that_wants_to_be_left_alone_for_long_is_left_alone(bench: Bench) -> None:
    """An hour is not waited for: its rows are rejected, with one request to it in all."""
    links = [bench.web.url("busy/429/3600/a"), *(bench.web.url(f"picture/{number}") for number in range(5))]
    started = time.monotonic()
    assert bench.get(*links, per_host=1) == [RejectReason.STATUS] * 6
    assert time.monotonic() - started < 3
    assert len(bench.web.asked("busy")) == 1
    assert not bench.web.asked("picture")


def test_retry_after_is_a_number_or_a_date() -> None:
    """Both forms of RFC 9110 are read, anything else is a short wait, and none can be negative or endless."""
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    assert retry_after("7") == 7
    assert 25 < retry_after(soon) <= 30
    assert retry_after(format_datetime(datetime.now(UTC) - timedelta(days=1), usegmt=True)) == 0
    assert all(retry_after(text) == UNSAID_WAIT for text in (None, "", "soon", "-5", "1.5", "²", "Mon, 99 Foo"))
    assert retry_after("9" * 400) > LONGEST_WAIT


def test_a_host_that_never_answers_is_given_up(bench: Bench) -> None:
    """After a few requests in a row without an answer the rest of its rows are not asked for; other hosts go on."""
    links = [bench.web.url(f"drop/{number}", host=1) for number in range(40)]
    got = bench.get(*links, bench.web.url("picture/1", host=2), retries=0, honor_robots=False)
    assert got == [RejectReason.CONNECTION] * 40 + [hostile_web.picture(1)[1]]
    assert PATIENCE <= len({hit.path for hit in bench.web.asked("drop")}) <= PATIENCE + 1


@pytest.mark.parametrize("rows", [1, 20_000])
def test_one_link_is_fetched_once_however_many_rows_have_it(bench: Bench, rows: int) -> None:
    """Within a shard and over shards, open at once or not, good or bad; every row has its outcome, no file is left."""
    good, bad = bench.web.url("swap/a"), bench.web.url("status/404")
    links = [[good, bad, bench.web.url("picture/5"), good], [bench.web.url("picture/6")], [bad, good]]
    parts = [FetchPart(f"part{number}", rows_of(each)) for number, each in enumerate(links)]
    got = []
    with bench.fetcher(ahead=Ahead(rows=rows)) as fetcher:
        for shard in fetcher.shards(parts):
            got.append([outcome(shard, row) for row in shard.part.rows])
            shard.discard()
    first = hostile_web.picture(1)[1]
    assert got == [
        [first, RejectReason.STATUS, hostile_web.picture(5)[1], first],
        [hostile_web.picture(6)[1]],
        [RejectReason.STATUS, first],
    ]
    asked = Counter(hit.path for hit in bench.web.hits if "robots" not in hit.path)
    assert asked == {"/swap/a": 1, "/status/404": 1, "/picture/5": 1, "/picture/6": 1}
    assert not [path for path in bench.folder.rglob("*") if path.is_file()]


def test_refused_links_are_never_asked_for_nor_repeated(bench: Bench) -> None:
    """A link on a list is not opened, neither the row's own nor a redirect's; the row's detail does not repeat it."""
    blocked = bench.web.url("picture/7", host=2)

    def refused(link: str) -> RejectReason | None:
        return RejectReason.BLOCKED if link == blocked else None

    rows = rows_of([blocked, bench.web.url(f"to?{blocked}")])
    with bench.fetcher(refused=refused) as fetcher:
        (shard,) = fetcher.shards([FetchPart("part", rows)])
        for row in rows:
            with pytest.raises(PictureError) as caught:
                shard.read(row)
            assert caught.value.reason is RejectReason.BLOCKED
            assert str(caught.value) == ""
    assert not bench.web.asked("picture")
    assert len(bench.web.asked("to")) == 1


# never lose


def test_a_spool_keeps_whole_records_and_cuts_torn_ones(tmp_path: Path) -> None:
    """Cut anywhere, a spool opens with exactly the records before the cut, and goes on from there."""
    path = tmp_path / "a.spool"
    spool = Spool(path)
    ends = [0]
    for number in range(4):
        spool.append(f"key {number}", Fetched("2026-01-01T00:00:00+00:00", bytes([number]) * (10 + number)))
        ends.append(spool.size)
    spool.append("bad", Fetched("2026-01-01T00:00:00+00:00", None, RejectReason.STATUS, "answered 404"))
    spool.close()
    whole = path.read_bytes()
    for cut in range(len(whole)):
        path.write_bytes(whole[:cut])
        again = Spool(path)
        kept = sum(end <= cut for end in ends) - 1
        assert list(again.entries) == [f"key {number}" for number in range(kept)]
        again.append("next", Fetched("now", b"next"))
        again.close()
        assert read(path, again.entries["next"]) == b"next"
        twice = Spool(path)
        twice.close()
        assert list(twice.entries) == list(again.entries)


@given(st.data())
@settings(max_examples=80, deadline=None)
def test_a_flipped_byte_is_never_believed(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """A record whose bytes have changed is not there; those before it are."""
    path = tmp_path_factory.mktemp("spool") / "a.spool"
    spool = Spool(path)
    for number in range(3):
        spool.append(str(number), Fetched("now", b"x" * 20))
    spool.close()
    content = bytearray(path.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    again = Spool(path)
    again.close()
    kept = place // (len(content) // 3)
    assert list(again.entries) == [str(number) for number in range(kept)]
    assert all(read(path, entry) == b"x" * 20 for entry in again.entries.values())


def test_what_was_fetched_before_is_not_asked_for_again(bench: Bench) -> None:
    """A run that ends in the middle keeps its rows: the next asks for the others alone; strangers' files go."""
    bench.web.robots[""] = 404
    rows = rows_of([bench.web.url(f"picture/{number}/64", host=number) for number in range(30)])
    with bench.fetcher() as fetcher:
        next(fetcher.shards([FetchPart("one", rows[:20]), FetchPart("two", rows[20:])]))
    (bench.folder / "stranger.spool").write_bytes(b"old")
    before = Counter(hit.path for hit in bench.web.hits)
    with bench.fetcher() as fetcher:
        for shard in fetcher.shards([FetchPart("one", rows[:20]), FetchPart("two", rows[20:])]):
            assert all(isinstance(outcome(shard, row), bytes) for row in shard.part.rows)
    after = Counter(hit.path for hit in bench.web.hits)
    assert sum(after[f"/picture/{number}/64"] for number in range(20)) == 20
    assert after.total() > 0
    assert before.total() >= 20
    assert not (bench.folder / "stranger.spool").exists()


_KILLED = """
import sys
sys.path[:0] = [{tests!r}, {root!r}]
from pathlib import Path
from test_fetch import FetchPart, Fetcher, policy_for, rows_of
from explorer.manifest import Fetch
links = sys.stdin.read().split()
with Fetcher(Fetch(contact="a@b.c"), policy_for({port}), Path({folder!r})) as fetcher:
    for shard in fetcher.shards([FetchPart("one", rows_of(links))]):
        pass
"""


@pytest.mark.parametrize("after", [5, 17, 40])
def test_a_killed_process_keeps_every_whole_row(bench: Bench, after: int) -> None:
    """SIGKILL after so many answers: what was written is not asked for again, and the rest arrives."""
    bench.web.robots[""] = 404
    # What is left when it is killed is not answered before, however long the kill takes to come.
    paths = [f"lasting/0.02/{number}" if number < after + 10 else f"gated/{number}" for number in range(60)]
    links = [bench.web.url(path, host=1 + number % 3) for number, path in enumerate(paths)]
    root = Path(__file__).parent
    script = _KILLED.format(tests=str(root), root=str(root.parent), port=bench.web.port, folder=str(bench.folder))
    child = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, text=True)
    assert child.stdin is not None
    child.stdin.write("\n".join(links))
    child.stdin.close()
    path = bench.folder / "one.spool"
    until(lambda: path.exists() and path.stat().st_size > after * 2000)
    child.kill()
    assert child.wait() == -signal.SIGKILL
    spool = Spool(path)
    kept = len(spool.entries)
    spool.close()
    assert 0 < kept < 60
    bench.web.hits.clear()
    bench.web.gate.set()
    with bench.fetcher() as fetcher:
        (shard,) = fetcher.shards([FetchPart("one", rows_of(links))])
        assert all(isinstance(outcome(shard, row), bytes) for row in shard.part.rows)
    assert len(bench.web.asked("lasting") + bench.web.asked("gated")) == 60 - kept


def is_quiet(web: HostileWeb) -> bool:
    """Whether nobody is connected to a web any more, so that no hit is still to be counted."""
    ends = {psutil.CONN_LISTEN, psutil.CONN_TIME_WAIT}
    connections = psutil.net_connections("tcp4")
    return not any(each.laddr.port == web.port and each.status not in ends for each in connections)


def test_what_is_shared_goes_with_the_last_row_that_waits_for_it(bench: Bench, tmp_path: Path) -> None:
    """What a kill has left of a link that no row wants any more is removed; what is still wanted is not asked again."""
    kept, left = bench.web.url("picture/1"), bench.web.url("picture/2")
    rows = rows_of([kept, left])
    again = [replace(row, key=f"{row.key} again") for row in rows]
    with bench.fetcher() as fetcher:
        (_, _) = fetcher.shards([FetchPart("first", rows), FetchPart("second", again)])  # killed before `discard`
    files = list(tmp_path.rglob("shared/*"))
    assert len(files) == 2
    with bench.fetcher() as fetcher:
        (shard,) = fetcher.shards([FetchPart("third", again[:1])])
        assert outcome(shard, again[0]) == hostile_web.picture(1)[1]
        (file,) = tmp_path.rglob("shared/*")
        assert hostile_web.picture(1)[1] in file.read_bytes()
        shard.discard()
    assert not list(tmp_path.rglob("shared/*"))
    assert len(bench.web.asked("picture")) == 2


# bounds, and an end


@pytest.mark.parametrize("ahead", [Ahead(rows=15), Ahead(bytes=400_000)], ids=["rows", "bytes"])
def test_what_is_fetched_ahead_is_bounded(bench: Bench, ahead: Ahead) -> None:
    """With room for few rows, or few bytes, shards are fetched as the reader takes them; nothing is lost."""
    pictures = [hostile_web.picture(number)[1] for number in range(60)]
    links = [bench.web.url(f"picture/{number}", host=number) for number in range(60)]
    parts = [FetchPart(f"part{number}", rows_of(links[5 * number : 5 * number + 5])) for number in range(12)]
    most = 0
    with bench.fetcher(ahead=ahead, in_flight=4) as fetcher:
        for number, shard in enumerate(fetcher.shards(parts)):
            time.sleep(0.1)  # the reader is slower than the web
            most = max(most, sum(path.stat().st_size for path in bench.folder.glob("*.spool")))
            assert len(bench.web.asked("picture")) <= 5 * number + ahead.rows + 5
            assert all(isinstance(outcome(shard, row), bytes) for row in shard.part.rows)
            shard.discard()
    assert sum(map(len, pictures)) > 3_000_000
    assert most < 2_000_000


def test_a_reader_that_discards_nothing_still_gets_everything(bench: Bench) -> None:
    """The bound holds up what is ahead, never the shard that the reader waits for."""
    parts = [FetchPart(f"p{n}", rows_of([bench.web.url(f"picture/{n}", host=n)])) for n in range(6)]
    with bench.fetcher(ahead=Ahead(rows=1, bytes=1)) as fetcher:
        shards = list(fetcher.shards(parts))
        assert [len(outcome(shard, shard.part.rows[0])) for shard in shards] == [
            len(hostile_web.picture(n)[1]) for n in range(6)
        ]


def fetch_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "fetch"]


def test_leaving_in_the_middle_ends_the_thread(bench: Bench) -> None:
    """An error or Ctrl-C in the reader stops the fetcher at once, whatever is still on its way."""
    links = [bench.web.url("picture/1", host=1)], [bench.web.url("never", host=2)]
    parts = [FetchPart(f"part{number}", rows_of(each)) for number, each in enumerate(links)]
    for error in (ValueError, KeyboardInterrupt):
        started = time.monotonic()
        with pytest.raises(error), bench.fetcher(timeout=60.0) as fetcher:
            for _ in fetcher.shards(parts):
                until(lambda: bool(bench.web.asked("never")))
                raise error
        assert time.monotonic() - started < 5
        assert not fetch_threads()


def test_a_full_disk_stops_the_reader_with_its_own_words(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the disk says comes out where the shard is waited for; after that the rows that were written are there."""
    rows = rows_of([bench.web.url(f"picture/{number}", host=number) for number in range(20)])
    written, append = [], Spool.append

    def full(spool: Spool, key: str, fetched: Fetched) -> None:
        if len(written) == 8:
            raise OSError(28, "No space left on device", "part.spool")
        written.append(key)
        append(spool, key, fetched)

    monkeypatch.setattr(Spool, "append", full)
    with pytest.raises(OSError, match="No space left"), bench.fetcher() as fetcher:
        list(fetcher.shards([FetchPart("part", rows)]))
    assert len(written) == 8
    monkeypatch.undo()
    assert not fetch_threads()
    until(lambda: is_quiet(bench.web))
    bench.web.hits.clear()
    with bench.fetcher() as fetcher:
        (shard,) = fetcher.shards([FetchPart("part", rows)])
        assert all(isinstance(outcome(shard, row), bytes) for row in rows)
    assert len(bench.web.asked("picture")) == 12


def test_no_file_descriptors_left_is_no_fault_of_the_row(bench: Bench) -> None:
    """When this process may open no more files, the run stops and says so; no row is blamed, and all arrive later."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    part = FetchPart("part", rows_of([bench.web.url("gated/1", host=number) for number in range(60)]))
    hostile_web.picture(1, 64)  # drawn while files may be opened
    with bench.fetcher(in_flight=10, honor_robots=False) as fetcher, ThreadPoolExecutor(1) as pool:
        taken = pool.submit(next, fetcher.shards([part]))
        until(lambda: len(bench.web.asked("gated")) == 10)
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))  # the three that there are: none is free
            bench.web.gate.set()
            error = taken.exception(120)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert isinstance(error, OSError)
    assert error.errno == errno.EMFILE
    spool = Spool(bench.folder / "part.spool")
    spool.close()
    assert [entry.reason for entry in spool.entries.values() if entry.reason] == []
    with bench.fetcher(honor_robots=False) as fetcher:
        (shard,) = fetcher.shards([part])
        assert all(isinstance(outcome(shard, row), bytes) for row in part.rows)


def cut_off(monkeypatch: pytest.MonkeyPatch, port: int, *more: str, seconds: float = 0.5) -> list[SourceRow]:
    """Twenty rows whose hosts all refuse, with patience for ten and some seconds, and some rows more."""
    monkeypatch.setattr(desk, "OUTAGE_LINKS", 10)
    monkeypatch.setattr(desk, "OUTAGE_SECONDS", seconds)
    return rows_of([f"http://{hostile_web.address(number)}:{port}/x" for number in range(20)] + list(more))


def test_a_machine_that_is_cut_off_blames_no_row(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """When nobody answers any more, the run stops and says so; those rows are asked for again the next time."""
    with hostile_web.refused_port() as port:
        rows = cut_off(monkeypatch, port, bench.web.url("never", host=99))
        with (
            pytest.raises(BuildError, match="expected a network"),
            bench.fetcher(policy_for(bench.web.port, port), honor_robots=False, timeout=1.5) as fetcher,
        ):
            next(fetcher.shards([FetchPart("part", rows)]))
    assert len(bench.web.asked("never")) == 1
    spool = Spool(bench.folder / "part.spool")
    spool.close()
    assert not spool.entries


def test_dead_hosts_are_no_outage_while_others_answer(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """As soon as somebody answers, those who did not are written down."""
    with hostile_web.refused_port() as port:
        more = [bench.web.url("lasting/0.3/1", host=98), bench.web.url("never", host=99)]
        rows = cut_off(monkeypatch, port, *more, seconds=2.0)
        with bench.fetcher(policy_for(bench.web.port, port), honor_robots=False, timeout=3.0) as fetcher:
            (shard,) = fetcher.shards([FetchPart("part", rows)])
            got = Counter(str(outcome(shard, row)) for row in rows[:20] + rows[21:])
    assert got == {"connection": 20, "timeout": 1}


def test_an_empty_corpus_starts_nothing(bench: Bench) -> None:
    """No shard, no thread, no request."""
    with bench.fetcher() as fetcher:
        assert list(fetcher.shards([])) == []
        assert not fetch_threads()
    assert not bench.web.hits


def test_a_thousand_links_are_in_flight_at_once(bench: Bench) -> None:
    """A thousand hosts, none of which answers before all of them are asked, are done in a few seconds of processor."""
    links = [bench.web.url(f"together/1000/all/{number % 7}", host=number) for number in range(1000)]
    started = time.process_time()
    got = bench.get(*links, honor_robots=False, timeout=120.0)
    assert all(isinstance(each, bytes) for each in got)
    assert time.process_time() - started < 15
    assert len(bench.web.asked("together")) == 1000


def test_the_politeness_of_this_module_is_what_it_says() -> None:
    """The bounds that the tests above rely on are those of the module."""
    assert politeness_module.LONGEST_WAIT == 60
    assert politeness_module.PATIENCE == 5
