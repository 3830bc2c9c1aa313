"""The network, as far as a build needs it: from links to pictures, whatever stands at the other end."""

from indexer.fetch.addresses import AddressPolicy as AddressPolicy
from indexer.fetch.ahead import Ahead as Ahead
from indexer.fetch.fetcher import Fetcher as Fetcher
from indexer.fetch.parts import FetchedShard as FetchedShard
from indexer.fetch.parts import FetchPart as FetchPart
