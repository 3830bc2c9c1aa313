"""Which addresses of the network may be opened: those of the public internet, and those that a manifest names.

Everything in IANA's special-purpose registries is refused, even the few blocks there that are globally reachable: no
picture lies in them. An IPv4 address that an IPv6 one stands for is judged itself; tunnels (6to4, Teredo) are refused.

Sources: IANA IPv4 and IPv6 Special-Purpose Address Registries; RFC 6052 (NAT64); the URL standard's IPv4 parser.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from explorer.errors import ManifestError

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_SPECIAL_4 = tuple(
    IPv4Network(block)
    for block in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
        *("192.0.0.0/24", "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16"),
        *("192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"),
        "168.63.129.16/32",  # in no registry: the host that every machine on Azure sees under this public address
    )
)
_GLOBAL_6 = IPv6Network("2000::/3")
_SPECIAL_6 = tuple(
    IPv6Network(block) for block in ("2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20")
)
"""Of the global unicast addresses; all that lies outside of those is refused as it is."""
_NAT64 = IPv6Network("64:ff9b::/96")


def unwrapped(address: Address) -> Address:
    """The IPv4 address that an IPv4-mapped or NAT64 one stands for; any other address itself."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in _NAT64:
            return IPv4Address(int(address) & 0xFFFFFFFF)
    return address


@lru_cache(maxsize=65_536)
def is_public(address: Address) -> bool:
    """Whether an address is one of the public internet."""
    if isinstance(address, IPv6Address) and address.scope_id is not None:
        return False
    plain = unwrapped(address)
    if isinstance(plain, IPv4Address):
        return not any(plain in block for block in _SPECIAL_4)
    return plain in _GLOBAL_6 and not any(plain in block for block in _SPECIAL_6)


def numeric(host: str) -> Address | None:
    """The address that a host spells in any way a system may take for one: 2130706433, 0x7f.1, 0177.0.0.1, ::1.

    Returns:
        None for a name.

    Raises:
        ValueError: it ends like an address and is none; no name does.
    """
    if ":" in host:
        return ip_address(host)
    labels = host.removesuffix(".").split(".")
    if not _is_number(labels[-1]):
        return None
    *front, last = (_number(label) for label in labels)
    if len(front) > 3 or any(part > 255 for part in front) or last >= 256 ** (4 - len(front)):
        raise ValueError(f"{host!r} is no IPv4 address")
    return IPv4Address(last + sum(part << (8 * (3 - place)) for place, part in enumerate(front)))


def _is_number(label: str) -> bool:
    return label.isascii() and (label.isdigit() or label[:2].lower() == "0x")


def _number(label: str) -> int:
    """A part of an IPv4 address: decimal, octal after 0, hexadecimal after 0x."""
    if not _is_number(label) or "_" in label:
        raise ValueError(f"{label!r} is no part of an IPv4 address")
    if label[:2].lower() == "0x":
        return int(label[2:] or "0", 16)
    return int(label, 8 if label[0] == "0" else 10)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a connection goes."""

    address: Address
    port: int


@dataclass(frozen=True, slots=True)
class AddressPolicy:
    """Which places may be opened.

    Attributes:
        networks: that the manifest opens beside the public internet.
        ports: that it opens beside `web_ports`.
        is_public: what counts as the public internet.
        web_ports: the ports that are always open.
    """

    networks: tuple[Network, ...] = ()
    ports: frozenset[int] = frozenset()
    is_public: Callable[[Address], bool] = is_public
    web_ports: frozenset[int] = frozenset({80, 443})

    @classmethod
    def of(cls, networks: Iterable[str], ports: Iterable[int]) -> AddressPolicy:
        """The policy of a manifest's `allow_networks` and `allow_ports`.

        Raises:
            ManifestError: a network is none.
        """
        return cls(tuple(_network(text) for text in networks), frozenset(ports))

    def opens(self, place: Place, came_from: Place | None = None) -> bool:
        """Whether a place may be opened.

        Args:
            place: where to.
            came_from: who redirected there; None for a link of the manifest. What only the manifest opens is reached by
                its own links and from one such place to the next, never by a redirect from elsewhere.
        """
        if not self.is_public(place.address) and not (
            self._is_inside(place) and (came_from is None or self._is_inside(came_from))
        ):
            return False
        return place.port in self.web_ports or (
            place.port in self.ports
            and (came_from is None or self._is_inside(came_from) or came_from.port in self.ports)
        )

    def _is_inside(self, place: Place) -> bool:
        """Whether a place lies in a network of the manifest."""
        return _lies_in(place.address, self.networks)


@lru_cache(maxsize=1 << 14)
def _lies_in(address: Address, networks: tuple[Network, ...]) -> bool:
    address = unwrapped(address)
    return any(address.version == network.version and address in network for network in networks)


def _network(text: str) -> Network:
    try:
        return ip_network(text)
    except ValueError as error:
        raise ManifestError(f"fetch.allow_networks: found {text!r}; expected a network like 10.0.0.0/8") from error
