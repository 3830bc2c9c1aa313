"""Every word of the page, in one table a language.

`Words(language)` looks a key up and fills its blanks: ``words("found.title", count="12")``. A key's part before the
dot is the panel; `map.*` goes to the map component, `live.*` to the scripts that follow a running job. A language is
one more table with the same keys and the same blanks, which a test holds it to.
"""

from __future__ import annotations

from collections.abc import Mapping

from explorer.records import Relation

ENGLISH: Mapping[str, str] = {
    # the frame around everything
    "frame.title": "latent-explorer",
    "frame.panels": "Show or hide all panels",
    "frame.more": "More",
    "frame.theme": "Light or dark",
    "frame.save": "Save this view as PNG",
    "frame.reset": "Reset the camera",
    "frame.keys": "Keys of the map",
    "frame.about": "About this atlas",
    "frame.space": "Map",
    "frame.space.clip": "CLIP",
    "frame.space.vae": "VAE",
    "frame.space.hint": "CLIP puts pictures of alike subjects together, VAE pictures of alike colors and composition",
    "frame.color": "Color by",
    "frame.color.cluster": "Color by cluster",
    "frame.color.split": "Color by split",
    "frame.color.similarity": "Color by similarity",
    "frame.sheets": "Panels",
    "frame.close": "Close",
    # the legend of what the colors mean
    "legend.train": "shown in training",
    "legend.heldout": "held out",
    "legend.corpus": "this collection",
    "legend.similarity.low": "less alike",
    "legend.similarity.high": "more alike to {query}",
    "legend.similarity.none": "Search for words, or select or bring a picture, to color the map by likeness to it.",
    "legend.noise": "in no cluster",
    # search and what it found
    "search.label": "Search the pictures by words",
    "search.placeholder": "Search {count} pictures by words",
    "search.placeholder.drop": "Search {count} pictures, or drop one here",
    "search.placeholder.wordless": "This atlas came without a model for words",
    "search.clear": "Clear the search",
    "search.bring": "Picture",
    "search.bring.hint": "Choose a picture of yours and see where it lands; dropping or pasting one does the same",
    "search.filter": "Filter",
    "search.filter.hint": "Show only pictures that meet a condition",
    # a picture that the visitor brings, filled in by scripts; `reject.` has the reasons why one is refused
    "bring.title": "Your picture",
    "bring.drop": "Drop the picture: it is shown among its nearest",
    "bring.looking": "Looking where your picture lands …",
    "bring.cancel": "Cancel",
    "bring.close": "Close",
    "bring.again": "Try another picture",
    "bring.failed": "Your picture could not be placed.",
    "bring.lost": "The server did not answer. Check that it is still running, then try again.",
    "bring.reject.too-large": "This picture is too large. Bring one of at most 10 MB and 64 million pixels.",
    "bring.reject.too-small": "This picture is too small. Bring one of at least 8 pixels a side.",
    "bring.reject.aspect": "This picture is too long for its width. Bring one whose sides are at most 20 to 1.",
    "bring.reject.empty": "This file is empty. Bring a JPEG, PNG, WebP or GIF.",
    "bring.reject.not-a-picture": "This is no picture that can be read here. Bring a JPEG, PNG, WebP or GIF.",
    "bring.reject.truncated": "This picture is cut off or damaged. Save it anew and bring it again.",
    "bring.reject.decoder": "This picture could not be decoded safely. Save it anew, or bring another.",
    # filters
    "filter.title": "Filter",
    "filter.column": "Column",
    "filter.operator": "Condition",
    "filter.value": "Value",
    "filter.add": "Add",
    "filter.remove": "Take away: {condition}",
    "filter.close": "Close the filter",
    "filter.number": "{column} holds numbers; write one, such as 512.",
    "filter.missing": "Write what {column} is to be compared with.",
    "filter.said": "{column} {operator} {value}",
    "filter.op.contains": "contains",
    "filter.op.is": "is",
    "filter.op.is_not": "is not",
    "filter.op.at_least": "at least",
    "filter.op.at_most": "at most",
    "filter.op.above": "above",
    "filter.op.below": "below",
    "filter.op.unknown": "is unknown",
    "filter.op.known": "is known",
    "filter.op.yes": "yes",
    "filter.op.no": "no",
    "found.sheet": "Search",
    "found.title": "Found for {query}",
    "found.like": "Alike to {query}",
    "found.count": "{count} pictures",
    "found.busy": "Searching …",
    "found.filtered": "Filtered",
    "found.matches": "{count} of {all} pictures",
    "found.first": "the first {count} are shown",
    "found.nothing": "No picture meets this. Take a condition away, or change it.",
    "found.none": "Nothing in this collection answers {query}. Try another word, or look in all splits.",
    "found.empty": "Type words above and press Enter: the pictures that fit light up in the map and line up here.",
    "found.fits": "{similarity}, likeness of words and picture",
    "found.sample": "This collection is a sample of what the model saw: that nothing fits proves nothing.",
    "found.split": "Among",
    "found.split.train": "Training",
    "found.split.corpus": "Indexed",
    "found.split.heldout": "Held out",
    "found.split.all": "All",
    # studio
    "studio.title": "Studio",
    "studio.prompt": "Prompt",
    "studio.prompt.placeholder": "Describe a picture",
    "studio.examples": "Try one of these",
    "studio.examples.demo": "red heart|smiling face|green apple|full moon|crying face|pizza",
    "studio.seed": "Seed",
    "studio.dice": "Another seed",
    "studio.steps": "Steps",
    "studio.guidance": "Guidance",
    "studio.generate": "Generate",
    "studio.cancel": "Cancel",
    "studio.history": "Made in this browser",
    "studio.history.empty": "Pictures that you generate are kept here.",
    "studio.history.open": "Show the picture generated from {prompt}",
    "studio.history.running": "Being generated: {prompt}",
    "studio.preview": "The picture so far",
    "studio.empty": "Write a prompt. The picture comes out of noise step by step, and its way is drawn in the map.",
    "studio.none": "This atlas names no generator, so nothing can be generated here. All else works.",
    "studio.error.prompt": "A prompt is missing. Write what the picture should show, or take one of the examples.",
    "studio.error.number": "Seed, steps and guidance must be numbers.",
    # what a running job says, filled in by scripts
    "live.queued.next": "Next in the queue",
    "live.queued": "Waiting: {place} in the queue",
    "live.loading": "Loading the models; this takes some seconds the first time",
    "live.step": "Step {step} of {steps}",
    "live.landing": "Looking for its place in the map …",
    "live.done": "Landed. What it came close to is listed under Nearest.",
    "live.cancelled": "Cancelled. Nothing was kept.",
    "live.cancelling": "Stopping after this step …",
    "live.submitting": "Handing the prompt over …",
    "live.gone": "This picture is not in the workspace any more. Generate it again.",
    "live.failed": "That did not work: {error}",
    "live.interrupted": "The server stopped while this picture was being made. Generate it again with the same recipe.",
    "live.lost": "The connection to the server is lost; it is being tried again.",
    "live.nearest": "Nearest so far",
    "live.models.asking": "Asking which models are loaded …",
    "live.models.loading": "Still loading: {models}. The map, clusters and neighbors work already.",
    "live.models.failed": "The {model} did not load: {reason}",
    "live.models.clip": "CLIP",
    "live.models.vae": "VAE",
    "live.models.generator": "generator",
    # here
    "here.title": "Here",
    "here.empty": "Click a point of the map: the picture, its caption and its source appear here.",
    "here.similar": "Find similar",
    "here.try": "Try this caption",
    "here.fly": "Fly here",
    "here.close": "Let go",
    "here.group": "Group",
    "here.tags": "Tags",
    "here.split": "Split",
    "here.cluster": "Cluster",
    "here.licence": "Licence",
    "here.author": "Author",
    "here.source": "Source",
    "here.id": "Id",
    "here.unknown": "unknown",
    "here.source.open": "{host} ↗",
    "here.source.title": "Opens {host} in a new tab",
    "here.extra": "More columns of the source",
    "here.size": "Size",
    "here.copy": "Copy",
    "here.copy.fetched": "fetched copy, {date}",
    "here.archive": "archive ↗",
    "here.archive.title": "Looks for archived copies of the picture's address at web.archive.org, in a new tab",
    "here.placed": "placed later",
    "here.placed.hint": "Joined after the map was made: placed on it among its nearest, without a new fit",
    "here.flagged": "Flagged as unsafe",
    "here.reveal": "Show it",
    "here.flagged.hint": "A classifier calls this picture unsafe, or nobody has reviewed it; so it is blurred",
    "here.nothumbnail": "No picture is kept in this atlas; its source may have it.",
    "here.takedown": "Yours, or harmful? Ask for it to be taken down: {contact}",
    "here.yours.title": "Brought by you",
    "here.yours.kept": "Held in memory only, the last few of them; nothing of it is written to disk.",
    "here.yours.alt": "The picture that you brought",
    "here.yours.gone": "Your picture is not held any more: only the last few are, and none outlives the server. "
    "Bring it again.",
    "here.gone": "There is no picture {id} in this atlas. It may have been taken down.",
    "here.made.title": "Generated here",
    "here.made.alt": "Picture generated from the prompt {prompt}",
    "here.made.recipe": "Seed {seed}, {steps} steps, guidance {guidance}",
    "here.made.download": "Save",
    "here.made.again": "Use its recipe",
    "here.made.back": "Back to yours",
    "here.picture.alt": "Picture: {caption}",
    # verdicts
    "verdict.label": "Verdict",
    "verdict.copy": "A copy, or all but",
    "verdict.nearer": "Nearer than usual",
    "verdict.typical": "As near as usual",
    "verdict.far": "Far from everything here",
    "verdict.rule": "Why: {rule}",
    # nearest
    "nearest.title.training": "Nearest training pictures",
    "nearest.title.corpus": "Nearest pictures in this collection",
    "nearest.others": "+{count} alike",
    "nearest.others.hint": "The collection has {count} variants or near-duplicates of this picture; it stands for all",
    "nearest.licence.unknown": "licence unknown",
    "nearest.flagged": "flagged",
    "nearest.empty": "Select or generate a picture: the pictures nearest to it are listed here.",
    "nearest.pending": "The list comes when the picture is finished.",
    "nearest.resemblance": "A neighbor is a resemblance, not a cause.",
    "nearest.vectors": "This list comes from the {space} vectors, never from the map: distances there are UMAP's.",
    "nearest.sample": "This collection is a sample of what the model saw: “nothing near” proves nothing.",
    "nearest.all": "This model saw this collection alone. Elsewhere a collection is a sample of what a model saw, and "
    "“nothing near” proves nothing.",
    "nearest.via.picture": "This generator's VAE is not the atlas's: the place was found from the finished picture.",
    "nearest.open": "Fly to {caption}",
    "nearest.percentile.training": "{similarity}, closer than {share} of training pictures are to their own nearest",
    "nearest.percentile.corpus": "{similarity}, closer than {share} of the pictures here are to their own nearest",
    "nearest.exact": "cosine {similarity:.6f}, percentile {percentile:.3f}",
    "nearest.exact.text": "cosine {similarity:.6f}",
    "nearest.try": "try caption",
    "nearest.try.hint": "Puts this caption into the studio",
    # splits
    "split.train.training": "training",
    "split.train.corpus": "indexed",
    "split.heldout": "held out",
    "split.heldout.hint": "Left out of the index and the baseline, and out of the training of the generator",
    # clusters
    "clusters.title": "Clusters",
    "clusters.empty": "This map has no clusters: its pictures are too few or too evenly spread.",
    "clusters.more": "Show more clusters",
    "clusters.size": "{count} pictures",
    "clusters.fly": "Fly to the cluster {label}",
    "clusters.unnamed": "unnamed",
    "clusters.example": "Example: {caption}",
    # exports
    "export.label": "Export",
    "export.left": "{count} flagged as unsafe are left out",
    "export.found.matches": "Export all pictures that meet the filter",
    "export.found": "Export these pictures",
    "export.cluster": "Export the cluster {label}",
    "export.csv": "CSV",
    "export.jsonl": "JSON Lines",
    "export.parquet": "Parquet",
    # about
    "about.title": "About this atlas",
    "about.what": "Every dot is a picture of this collection. Pictures that a model finds alike stand together. Type a "
    "prompt and watch where the new picture lands, and next to which pictures.",
    "about.corpus": "Collection",
    "about.title.corpus": "Name",
    "about.counts": "What is in it",
    "about.licence": "Licence",
    "about.attribution": "Attribution",
    "about.author": "Author",
    "about.homepage": "Homepage",
    "about.date": "Date of the collection",
    "about.joined": "Appended to it",
    "about.built": "Atlas built",
    "about.version": "Version",
    "about.images": "Pictures",
    "about.heldout": "of which held out",
    "about.outcomes": "Rows of the source",
    "about.rows": "{count} read: {indexed} indexed, {rejected} left out",
    "about.rejected": "Left out, by reason",
    "about.duplicates": "Near-duplicates",
    "about.duplicates.found": "{pictures} pictures in {families} families",
    "about.placed": "Placed later",
    "about.flagged": "Flagged as unsafe",
    "about.flagged.count": "{count}, blurred and left out of exports",
    "about.unreviewed": "Safety review",
    "about.unreviewed.said": "None: this atlas was built from links of before 2024, over the builder's objection to "
    "stopping. Pictures without a score are blurred.",
    "about.hosts": "Largest hosts",
    "about.networks": "Networks opened",
    "about.contact": "Takedowns",
    "about.contact.none": "No contact is named. Whoever runs this atlas takes a picture down with "
    "“latent-explorer forget”.",
    # why rows of the source are left out
    "outcome.filtered": "outside the filters",
    "outcome.unsafe": "unsafe, or unknown whether",
    "outcome.withdrawn": "not among the reviewed rows",
    "outcome.blocked": "on the blocklist",
    "outcome.denied": "taken down",
    "outcome.bad-row": "unusable row",
    "outcome.scheme": "link neither http nor https",
    "outcome.address": "link to a closed address",
    "outcome.robots": "robots.txt says no",
    "outcome.opted-out": "opted out",
    "outcome.dns": "host not found",
    "outcome.connection": "no connection",
    "outcome.tls": "broken encryption",
    "outcome.timeout": "too slow",
    "outcome.redirects": "too many redirects",
    "outcome.status": "no picture at the link",
    "outcome.encoded": "compressed unasked",
    "outcome.mismatch": "another picture at the link",
    "outcome.missing": "file missing",
    "outcome.damaged": "shard damaged",
    "outcome.empty": "empty file",
    "outcome.not-a-picture": "something else than a picture",
    "outcome.truncated": "cut off",
    "outcome.too-small": "too small",
    "outcome.too-large": "too large",
    "outcome.aspect": "too long for its width",
    "outcome.decoder": "not decodable",
    "outcome.memory": "no memory for it",
    "outcome.not-finite": "no usable vector",
    "about.spaces": "Maps",
    "about.clusters": "{count} clusters in {space}",
    "about.relation": "Relation to the generator",
    "about.relation.all": "The generator was trained on these pictures, and only these (held-out ones excepted).",
    "about.relation.sample": "These pictures are a sample of what the generator was trained on.",
    "about.relation.none": "The generator was not trained on these pictures.",
    "about.relation.unknown": "Whether the generator was trained on these pictures is not known.",
    "about.models": "Models",
    "about.model.clip": "CLIP",
    "about.model.vae": "VAE",
    "about.model.generator": "Generator",
    "about.limits": "Limits",
    "about.limits.resemblance": "A neighbor is a resemblance, not a cause: no picture here is “made from” another.",
    "about.limits.map": "Distances on the map are UMAP's; lists of neighbors come from the vectors, not from the map.",
    "about.limits.sample": "The collection is a sample of what the model saw, so “nothing near” proves nothing.",
    "about.limits.demo": "The demo models are small and know emoji only: outlines and colors follow the prompt, "
    "details often do not, and whatever else is asked for is drawn as if it were an emoji.",
    "about.figures": "What they can and cannot do stands in docs/demo-models.md, with figures and sample pictures.",
    "about.unknown": "unknown",
    # errors that the page itself says
    "error.title": "That did not work",
    "error.unexpected": "Something unexpected happened; the server's log has the detail.",
    # the map component's own words; it fills {count} itself
    "map.label": "Map of the pictures. Arrow keys turn it, plus and minus zoom, question mark lists all keys.",
    "map.loading": "Loading {count} pictures",
    "map.failed": "The map could not be loaded. Check that the server is still running, then try again.",
    "map.retry": "Try again",
    "map.noWebgl": "This browser offers no WebGL 2, so the map cannot be drawn. Search, neighbors, clusters and "
    "exports work without it.",
    "map.contextLost": "The graphics card is busy elsewhere; the map comes back by itself.",
    "map.noCaption": "No caption",
    "map.noRecord": "This picture's record could not be read.",
    "map.keysTitle": "Keys of the map",
    "map.keyOrbit": "Turn the map",
    "map.keyZoom": "Come nearer, go farther",
    "map.keyPan": "Shift the view (or Shift with an arrow)",
    "map.keyPick": "Select the point nearest to the middle",
    "map.keyFly": "Fly to the selection, or to where the generated picture landed",
    "map.keyReset": "Show the whole map",
    "map.keyNeighbors": "Previous and next picture in the list",
    "map.keySearch": "Go to the search line",
    "map.keyClear": "Let go of the selection, then of the search",
    "map.keyHelp": "This list",
    "map.close": "Close",
}

LANGUAGES: Mapping[str, Mapping[str, str]] = {"en": ENGLISH}


class Words:
    """The page's words in one language."""

    def __init__(self, language: str = "en") -> None:
        self.language = language
        self._table = LANGUAGES[language]

    def __call__(self, key: str, **blanks: object) -> str:
        """Return the words at `key` with its blanks filled; an unknown key or blank raises KeyError."""
        text = self._table[key]
        return text.format(**blanks) if blanks else text

    def group(self, prefix: str) -> dict[str, str]:
        """Return all words below `prefix`, keyed by what follows it; blanks stay open for the scripts."""
        return {key[len(prefix) + 1 :]: text for key, text in self._table.items() if key.startswith(f"{prefix}.")}

    def ruled(self, key: str, relation: Relation, **blanks: object) -> str:
        """Return the form of `key` that the corpus's relation to the generator allows.

        Only with `all` or `sample` are neighbors called training pictures.
        """
        return self(f"{key}.{'training' if relation.is_training else 'corpus'}", **blanks)


def number(value: int) -> str:
    """Return a count with its thousands set apart."""
    return f"{value:,}"


def share(percentile: float) -> str:
    """Return a percentile in words, rounded so that it never claims more than was measured."""
    if percentile < 1:
        return "almost none"
    if percentile < 99 or percentile >= 100:
        return f"{int(percentile)} %"
    return f"{int(percentile * 10) / 10:.1f} %"
