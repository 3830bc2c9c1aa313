"""Which links and addresses are opened: every special range, every spelling, against addresses known by themselves."""

from __future__ import annotations

import socket
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from explorer.errors import ManifestError, PictureError, RejectReason
from indexer.fetch.addresses import AddressPolicy, Place, is_public, numeric, unwrapped
from indexer.fetch.links import LONGEST, joined, target

# https://www.iana.org/assignments/iana-ipv4-special-registry and iana-ipv6-special-registry, as of 2025, with multicast
# (RFC 5771, RFC 4291) and the deprecated site-local and 6bone blocks.
IANA_4 = (
    *("0.0.0.0/8", "0.0.0.0/32", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
    *("192.0.0.0/24", "192.0.0.0/29", "192.0.0.8/32", "192.0.0.9/32", "192.0.0.10/32", "192.0.0.170/32"),
    *("192.0.0.171/32", "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16"),
    *("192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4", "255.255.255.255/32"),
    *("224.0.0.0/4",),
)
IANA_6 = (
    *("::1/128", "::/128", "::ffff:0:0/96", "64:ff9b:1::/48", "100::/64", "100:0:0:1::/64", "2001::/23", "2001::/32"),
    *("2001:1::1/128", "2001:1::2/128", "2001:1::3/128", "2001:2::/48", "2001:3::/32", "2001:4:112::/48"),
    *("2001:10::/28", "2001:20::/28", "2001:30::/28", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20"),
    *("5f00::/16", "fc00::/7", "fe80::/10", "ff00::/8", "fec0::/10", "::/96"),
)
METADATA = ("169.254.169.254", "168.63.129.16", "100.100.100.200", "192.0.0.192", "fd00:ec2::254")
PUBLIC = ("8.8.8.8", "1.1.1.1", "93.184.215.14", "198.17.255.255", "172.32.0.1", "2606:4700:4700::1111", "2a00:1450::1")

special_4 = st.sampled_from(IANA_4).flatmap(lambda block: st.ip_addresses(v=4, network=block))
special_6 = (
    st.sampled_from(IANA_6)
    .filter(lambda block: block != "::ffff:0:0/96")
    .flatmap(lambda block: st.ip_addresses(v=6, network=block))
)


@given(special_4)
def test_no_special_ipv4_address_is_public(address: IPv4Address) -> None:
    """Nothing in IANA's IPv4 special-purpose registry is opened."""
    assert not is_public(address)


@given(special_6)
def test_no_special_ipv6_address_is_public(address: IPv6Address) -> None:
    """Nothing in IANA's IPv6 special-purpose registry is opened; IPv4-mapped addresses have a test of their own."""
    assert not is_public(address)


@pytest.mark.parametrize("address", METADATA)
def test_metadata_services_are_not_public(address: str) -> None:
    """What hands out a cloud machine's secrets is not opened, even under a public address."""
    assert not is_public(ip_address(address))


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_public(address: str) -> None:
    """The guard lets the web through."""
    assert is_public(ip_address(address))


def test_an_address_of_a_zone_is_not_public() -> None:
    """What is said to lie behind one of this machine's own interfaces is not opened, though it looks public."""
    assert is_public(ip_address("2606:4700:4700::1111"))
    assert not is_public(ip_address("2606:4700:4700::1111%eth0"))


@given(st.ip_addresses())
def test_what_python_calls_private_is_never_public(address: IPv4Address | IPv6Address) -> None:
    """The policy is at least as strict as the standard library's own table."""
    if is_public(address):
        assert unwrapped(address).is_global


@given(st.ip_addresses(v=4))
@example(IPv4Address("127.0.0.1"))
@example(IPv4Address("8.8.8.8"))
def test_an_ipv4_address_inside_an_ipv6_one_is_judged_itself(inner: IPv4Address) -> None:
    """IPv4-mapped and NAT64 addresses are as public as what they stand for; tunnels and relics are never opened."""
    number = int(inner)
    for wrapped in (IPv6Address(0xFFFF << 32 | number), IPv6Address((0x64_FF9B << 96) | number)):
        assert unwrapped(wrapped) == inner
        assert is_public(wrapped) == is_public(inner)
    six_to_four = IPv6Address(0x2002 << 112 | number << 80)
    teredo = IPv6Address(0x2001_0000 << 96 | number << 64 | number ^ 0xFFFFFFFF)
    assert six_to_four.sixtofour == inner
    assert teredo.teredo == (inner, inner)
    assert not is_public(six_to_four)
    assert not is_public(teredo)
    assert not is_public(IPv6Address(number))


@st.composite
def spellings(draw: st.DrawFn) -> tuple[str, IPv4Address]:
    """An IPv4 address, spelled as some system might take it: 1 to 4 parts, each decimal, octal or hexadecimal."""
    address = draw(st.one_of(special_4, st.ip_addresses(v=4)))
    count = draw(st.integers(1, 4))
    octets = [*address.packed]
    parts = [*octets[: count - 1], int.from_bytes(octets[count - 1 :], "big")]

    def spelled(part: int) -> str:
        base = draw(st.sampled_from(("{}", "0{:o}", "0x{:x}", "0X{:X}", "000{:o}", "0x000{:x}")))
        return base.format(part)

    text = ".".join(spelled(part) for part in parts) + draw(st.sampled_from(("", ".")))
    wide = {ord("0") + digit: 0xFF10 + digit for digit in range(10)} | {ord("."): draw(st.sampled_from("。．｡"))}
    return (text.translate(wide) if draw(st.booleans()) else text), address


@given(spellings(), st.sampled_from(("", "user@", "user:password@", "8.8.8.8@")), st.sampled_from(("", "/", "/a?b#c")))
@example(("2130706433", IPv4Address("127.0.0.1")), "", "/")
@example(("0x7f.1", IPv4Address("127.0.0.1")), "", "/")
@example(("0177.0.0.1", IPv4Address("127.0.0.1")), "", "/")
@example(("127.1.", IPv4Address("127.0.0.1")), "example.org@", "/")
@example(("①②⑦.0.0.1", IPv4Address("127.0.0.1")), "", "/")
def test_every_spelling_of_an_address_is_that_address(spelling: tuple[str, IPv4Address], user: str, path: str) -> None:
    """No spelling hides an address from the policy, and none of the user's name reaches the host."""
    text, address = spelling
    goal = target(f"http://{user}{text}{path}")
    assert goal.address == address
    assert goal.host == str(address)
    assert goal.url.raw_user is None
    policy = AddressPolicy()
    assert policy.opens(Place(goal.address, goal.port)) == is_public(address)


@given(spellings())
def test_the_system_reads_ascii_spellings_the_same_way(spelling: tuple[str, IPv4Address]) -> None:
    """Where the C library takes a spelling for an address, it is the one that was judged."""
    text, address = spelling
    if text.isascii() and not text.endswith("."):
        assert socket.inet_aton(text) == address.packed


@pytest.mark.parametrize(
    "host",
    ["256.1.1.1", "1.2.3.4.5", "08.1.1.1", "0x1ffffffff", "1.2.3.0xg", "4294967296", "[::1%25lo]", "[::g]", "1..2"],
)
def test_what_ends_like_an_address_and_is_none_is_refused(host: str) -> None:
    """A host that is nearly an address never reaches a name server, whatever that would make of it."""
    try:
        goal = target(f"http://{host}/")
    except PictureError as error:
        assert error.reason in (RejectReason.ADDRESS, RejectReason.BAD_ROW)
    else:
        assert goal.address is not None
        assert not is_public(goal.address)


@given(
    st.one_of(
        st.sampled_from(
            ("file", "ftp", "data", "gopher", "pipe", "s3", "javascript", "vbscript", "about", "ws", "blob")
        ),
        st.from_regex(r"[a-z][a-z0-9+.-]{0,8}", fullmatch=True).filter(lambda name: name not in ("http", "https")),
    ),
    st.sampled_from(("{}:///etc/passwd", "{}://127.0.0.1/x", "{}:text/html,hello", " {}://host/x", "{}://host:80")),
)
def test_other_schemes_are_never_opened(scheme: str, form: str) -> None:
    """Only http and https are schemes of pictures."""
    with pytest.raises(PictureError) as caught:
        target(form.format(scheme))
    assert caught.value.reason is RejectReason.SCHEME


@given(st.one_of(st.text(max_size=60), st.text(max_size=40).map(lambda rest: f"http://{rest}")))
@example("http://host/\udc80")
@example("http://\udc80/")
@example("http://host:99999/")
@example("http://a\\@127.0.0.1/")
@example("http://" + "a" * 70 + ".org/")
@example("http://h/" + "x" * LONGEST)
def test_any_text_is_a_target_or_a_reason(text: str) -> None:
    """Whatever a cell holds, it is a link with a host in one spelling, or rejected for one of three reasons."""
    try:
        goal = target(text)
    except PictureError as error:
        assert error.reason in (RejectReason.SCHEME, RejectReason.ADDRESS, RejectReason.BAD_ROW)
    else:
        assert goal.url.scheme in ("http", "https")
        assert goal.host == goal.host.lower()
        assert goal.host.isascii()
        assert target(str(goal.url)) == goal


def test_a_name_keeps_nothing_that_would_tell_two_spellings_apart() -> None:
    """Case, the final dot, the default port, user, password and fragment are gone; the path and query stay."""
    goal = target(" HTTPS://User:Pass@EXAMPLE.org.:443/A%2fb/%C3%A9 c?q=1+2%2B3#top ")
    assert (goal.host, goal.port, goal.netloc, goal.origin) == (
        "example.org",
        443,
        "example.org",
        "https://example.org",
    )
    assert str(goal.url) == "https://example.org/A%2Fb/%C3%A9%20c?q=1+2%2B3"
    assert target("http://bücher.example/").host == "xn--bcher-kva.example"
    assert target("http://[2606:4700::1]:8080/x").netloc == "[2606:4700::1]:8080"


def test_a_redirect_is_read_like_a_link() -> None:
    """A relative one stays on its host; one to another scheme is refused."""
    base = target("http://example.org/a/b?c")
    assert str(joined(base, "../d").url) == "http://example.org/d"
    assert str(joined(base, "//other.example/e").url) == "http://other.example/e"
    for location, reason in (("file:///etc/passwd", RejectReason.SCHEME), ("http://[", RejectReason.REDIRECTS)):
        with pytest.raises(PictureError) as caught:
            joined(base, location)
        assert caught.value.reason is reason


def test_ports_are_those_of_the_web_and_of_the_manifest() -> None:
    """80 and 443 are open; another port only where the manifest names it."""
    public = ip_address("93.184.215.14")
    assert all(AddressPolicy().opens(Place(public, port)) for port in (80, 443))
    assert not any(AddressPolicy().opens(Place(public, port)) for port in (0, 22, 25, 6379, 8080))
    assert AddressPolicy.of([], [8080]).opens(Place(public, 8080))
    assert not AddressPolicy.of([], [8080]).opens(Place(public, 8080), came_from=Place(public, 80))


def test_a_museums_network_is_entered_from_the_manifest_alone() -> None:
    """A link of the manifest reaches an opened network, and so does a redirect inside it; none from elsewhere does."""
    policy = AddressPolicy.of(["10.1.0.0/16", "fd00:1::/32"], [8182])
    inside, other, public = (Place(ip_address(text), 8182) for text in ("10.1.2.3", "10.2.2.3", "93.184.215.14"))
    assert policy.opens(inside)
    assert policy.opens(Place(ip_address("::ffff:10.1.2.3"), 80))
    assert policy.opens(Place(ip_address("fd00:1::5"), 80))
    assert policy.opens(inside, came_from=Place(ip_address("10.1.9.9"), 80))
    assert not policy.opens(inside, came_from=public)
    assert not policy.opens(inside, came_from=Place(public.address, 80))
    assert not policy.opens(other)
    assert not policy.opens(Place(ip_address("127.0.0.1"), 80))


def test_a_network_that_is_none_is_the_manifests_fault() -> None:
    """The line names the key, what was found and what was expected."""
    with pytest.raises(ManifestError, match=r"fetch.allow_networks: found '10.0.0.1/8'; expected a network like"):
        AddressPolicy.of(["10.0.0.1/8"], [])


@given(st.ip_addresses(v=6))
def test_an_ipv6_host_is_its_address(address: IPv6Address) -> None:
    """However it is written, compressed or exploded."""
    for text in (address.compressed, address.exploded):
        goal = target(f"http://[{text}]/")
        assert goal.address == address
        assert numeric(text) == address
        assert ip_network(f"{goal.host}/128").network_address == address
